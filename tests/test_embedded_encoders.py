"""The embedded encoders: the same weights everywhere, features that say something."""

import subprocess
import sys
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from oragen.encoders import load_audio_encoder, load_face_encoder
from oragen.encoders.embedded import WEIGHT_STEP
from oragen.encoders.embedded_audio import design_wav2vec2
from oragen.encoders.embedded_face import design_vit
from tests.tiny_encoders import make_crops, make_noise

RATE_HZ: Final = 16_000


def test_four_seconds_are_199_steps_of_the_embedded_encoder() -> None:
    assert load_audio_encoder("embedded").num_steps(64_000) == 199


def test_a_waveforms_level_and_offset_do_not_matter() -> None:
    encoder = load_audio_encoder("embedded")
    waveform = make_noise(16_000) // 2
    [steps, louder] = encoder.encode([waveform, 3 * waveform + 1000])
    np.testing.assert_allclose(steps, louder, atol=1e-3)


def read_off(features: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Predict the second half's truth from features, by ridge regression on the first half."""
    known = np.arange(len(truth)) < len(truth) // 2
    centred = features - features[known].mean(axis=0)
    middle = truth[known].mean(axis=0)
    kernel = centred @ centred[known].T
    weights = np.linalg.solve(kernel[known] + np.eye(known.sum()), truth[known] - middle)
    return np.asarray(kernel[~known] @ weights + middle)


def test_pitch_can_be_read_off_the_embedded_encoder() -> None:
    rng = np.random.default_rng(0)
    pitches_hz = rng.uniform(90, 250, size=80)
    seconds = np.arange(RATE_HZ) / RATE_HZ
    pulses = (np.sin(np.pi * pitches_hz[:, None] * seconds) ** 2) ** 40
    noisy = 8000 * pulses + rng.normal(scale=200, size=pulses.shape)
    embeddings = load_audio_encoder("embedded").encode(list(noisy.astype(np.int16)))
    means = np.stack([steps.mean(axis=0) for steps in embeddings])
    errors_hz = read_off(means, pitches_hz) - pitches_hz[40:]
    assert np.median(np.abs(errors_hz)) < 10


def test_all_layers_but_the_first_see_the_crop() -> None:
    encoder = load_face_encoder("embedded")
    spread = np.median(np.std(encoder.encode(make_crops(8)), axis=0, ddof=1), axis=1)
    assert spread[0] == 0
    assert (spread[1:] > 0.05).all()


def test_a_place_can_be_read_off_the_embedded_encoder() -> None:
    rng = np.random.default_rng(0)
    crops = np.stack(make_crops(120)) // 4
    corners = rng.integers(0, 36, size=(120, 2))
    for crop, (y, x) in zip(crops, corners, strict=True):
        crop[y : y + 12, x : x + 12] += 150
    features = np.stack(load_face_encoder("embedded").encode(list(crops))).reshape(120, -1)
    errors_px = read_off(features, corners.astype(float)) - corners[60:]
    assert np.median(np.abs(errors_px)) < 4


@pytest.mark.parametrize(
    "waveform",
    [
        make_noise(16_000),
        np.zeros(16_000, np.int16),
        np.full(16_000, -(2**15), np.int16),
        np.sign(make_noise(16_000)) * np.int16(2**15 - 1),
    ],
    ids=["noise", "silence", "constant", "clipped"],
)
def test_embedded_audio_fits_into_float16(waveform: np.ndarray) -> None:
    [steps] = load_audio_encoder("embedded").encode([waveform])
    assert np.abs(steps).max() < 50  # a NaN fails, too


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_embedded_faces_fit_into_float16(colour: int) -> None:
    noise = make_crops(1)[0]
    rows = load_face_encoder("embedded").encode([np.full_like(noise, colour), noise])
    assert np.abs(rows).max() < 50


@pytest.mark.slow
def test_embedded_weights_are_the_same_in_every_process() -> None:
    code = (
        "import torch; torch.set_num_threads(1); torch.manual_seed(5);"
        "from oragen.encoders import load_audio_encoder, load_face_encoder;"
        "loads = load_audio_encoder, load_face_encoder;"
        "print(*(load('embedded').fingerprint() for load in loads))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    here = [load("embedded").fingerprint() for load in (load_audio_encoder, load_face_encoder)]
    assert printed.stdout.split() == here, printed.stderr


@pytest.mark.parametrize("design", [design_wav2vec2, design_vit])
def test_embedded_weights_have_no_digits_that_differ_between_machines(
    design: Callable[[], PreTrainedModel],
) -> None:
    for parameter in design().parameters():
        steps = parameter / WEIGHT_STEP
        assert torch.equal(steps, steps.round())


@pytest.mark.parametrize("design", [design_wav2vec2, design_vit])
def test_embedded_weights_follow_their_seed(design: Callable[..., PreTrainedModel]) -> None:
    weights = [torch.cat([p.flatten() for p in design(seed).parameters()]) for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_building_leaves_the_callers_randomness_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    design_wav2vec2()
    design_vit()
    assert torch.equal(torch.rand(1), expected)
