"""Levels of encoders: early, intermediate and late, alone or from a unimodal model's folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from transformers import (
    Wav2Vec2FeatureExtractor,
)

from oragen.encoders import (
    EncoderError,
    load_audio_encoder,
    load_face_encoder,
    prepare_crops,
    prepare_sounds,
)
from oragen.encoders.sounds import PublishedInput
from oragen.models.unimodal import (
    prepare_images,
    prepare_waveforms,
)
from oragen.schema.vocabulary import Level
from tests.saved_encoders import SPEECH_MODELS, save_audio, save_face

LEVELS: Final[tuple[Level, ...]] = ("early", "intermediate", "late")  # that a network computes
PUBLISHED_SOUND: Final = {"waveform_order": "pad_then_normalise", "min_samples": 16_000}
PUBLISHED_IMAGE: Final = {"image_px": 32, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def make_noise(num_samples: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=3000, size=num_samples)
    return noise.astype(np.int16)


def make_crops(number: int, size_px: int = 48) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (number, size_px, size_px, 3), dtype=np.uint8))


# --- audio -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "shape"), [("early", (199, 8)), ("intermediate", (199, 16)), ("late", (1, 256))]
)
def test_the_shape_of_four_seconds(tmp_path: Path, level: Level, shape: tuple[int, int]) -> None:
    encoder = load_audio_encoder(save_audio(tmp_path))
    assert encoder.feature_shape(64_000, level) == shape
    assert encoder.encode([make_noise(64_000)], level)[0].shape == shape


@pytest.mark.parametrize("level", LEVELS)
def test_a_folders_features_are_those_of_its_model(tmp_path: Path, level: Level) -> None:
    encoder = load_audio_encoder(save_audio(tmp_path))
    whole: Any = encoder.model
    sounds = prepare_sounds(encoder.extractor, [make_noise(24_000)])
    with torch.inference_mode():
        expected = {
            "early": lambda *sound: whole.early(*sound).transpose(1, 2),
            "intermediate": whole.intermediate,
            "late": lambda *sound: whole.late(*sound)[:, None],
        }[level](*sounds)[0]
    np.testing.assert_allclose(encoder.encode([make_noise(24_000)], level)[0], expected, atol=1e-5)


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", SPEECH_MODELS)
def test_what_a_waveform_gives_does_not_depend_on_its_batch(
    tmp_path: Path, name: str, level: Level, published: bool
) -> None:
    metadata = {"input": PUBLISHED_SOUND} if published else None
    encoder = load_audio_encoder(save_audio(tmp_path, name, metadata))
    waveforms = [make_noise(n, seed=n) for n in (24_000, 24_000, 17_123, 15_000, 9_000)]
    for waveform, rows in zip(waveforms, encoder.encode(waveforms, level), strict=True):
        assert rows.shape == encoder.feature_shape(len(waveform), level)
        np.testing.assert_allclose(rows, encoder.encode([waveform], level)[0], atol=5e-5)


def test_pooled_is_mean_and_deviation_of_the_steps_without_the_padding(tmp_path: Path) -> None:
    encoder = load_audio_encoder(save_audio(tmp_path))
    sounds = [make_noise(24_000), make_noise(64_000, seed=1)]
    found = encoder.embed(encoder.prepare(sounds), ("pooled", "early"))
    assert {level: len(rows) for level, rows in found.items()} == {"pooled": 2, "early": 2}
    for pooled, sound in zip(found["pooled"], sounds, strict=True):
        steps = encoder.encode([sound], "intermediate")[0]
        expected = [steps.mean(axis=0), steps.std(axis=0)]
        np.testing.assert_allclose(pooled, expected, atol=1e-5)
    assert encoder.feature_shape(64_000, "pooled") == found["pooled"][0].shape == (2, 16)


def test_pooled_rows_of_a_crop_are_mean_and_deviation_of_its_layers(tmp_path: Path) -> None:
    encoder = load_face_encoder(save_face(tmp_path))
    (pooled,), (layers,) = (
        encoder.encode(make_crops(1), level) for level in ("pooled", "intermediate")
    )
    expected = [layers.mean(axis=0), layers.std(axis=0)]
    np.testing.assert_allclose(pooled, expected, atol=1e-6)
    assert encoder.feature_shape("pooled") == (2, 16)


def test_the_embedded_encoder_has_an_early_level() -> None:
    encoder = load_audio_encoder("embedded")
    assert encoder.feature_shape(64_000, "early") == (199, 257)
    first, alone = make_noise(16_000), make_noise(9000, seed=1)
    [_, rows] = encoder.encode([first, alone], "early")
    assert rows.shape == encoder.feature_shape(9000, "early")
    np.testing.assert_allclose(rows, encoder.encode([alone], "early")[0], atol=5e-5)


def test_a_published_model_hears_the_padding(tmp_path: Path) -> None:
    encoder = load_audio_encoder(save_audio(tmp_path, metadata={"input": PUBLISHED_SOUND}))
    assert encoder.extractor == PublishedInput("pad_then_normalise", 16_000)
    assert encoder.num_steps(8000) == encoder.num_steps(16_000) == 49
    waveform = make_noise(8000)
    samples, _ = prepare_waveforms(
        [waveform.astype(np.float32) / 2**15], min_samples=16_000, order="pad_then_normalise"
    )
    with torch.inference_mode():
        expected = encoder.network(samples).last_hidden_state[0]
    np.testing.assert_allclose(encoder.encode([waveform])[0], expected, atol=1e-5)


def test_whole_numbers_and_fractions_are_one_sound() -> None:
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    whole = [make_noise(900), make_noise(700)]
    fractions = [waveform.astype(np.float32) / 2**15 for waveform in whole]
    samples, valid = prepare_sounds(extractor, whole)
    torch.testing.assert_close(samples, prepare_sounds(extractor, fractions).samples)
    assert samples.shape == (2, 900)
    assert valid.sum(dim=1).tolist() == [900, 700]
    assert samples[1, :700].std(unbiased=False).item() == pytest.approx(1.0, abs=1e-3)
    assert not samples[1, 700:].any()


@pytest.mark.parametrize("name", SPEECH_MODELS)
def test_levels_asked_for_together_are_those_asked_for_alone(tmp_path: Path, name: str) -> None:
    """... and the network runs once for all of them."""
    encoder = load_audio_encoder(save_audio(tmp_path, name))
    waveforms = [make_noise(n, seed=n) for n in (17_123, 9_000)]
    prepared = encoder.prepare(waveforms)
    with count_calls(encoder.network) as calls:
        together = encoder.embed(prepared, LEVELS)
    assert len(calls) == len(prepared.batches)
    for level in LEVELS:
        for one, other in zip(together[level], encoder.encode(waveforms, level), strict=True):
            np.testing.assert_array_equal(one, other)


@contextmanager
def count_calls(network: Any) -> Iterator[list[None]]:
    calls: list[None] = []
    hook = network.register_forward_hook(lambda *_: calls.append(None))
    yield calls
    hook.remove()


# --- face ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "shape"), [("early", (17, 16)), ("intermediate", (3, 16)), ("late", (1, 128))]
)
def test_the_shape_of_a_crop(tmp_path: Path, level: Level, shape: tuple[int, int]) -> None:
    encoder = load_face_encoder(save_face(tmp_path))
    assert encoder.feature_shape(level) == shape
    crops = make_crops(4)
    for crop, rows in zip(crops, encoder.encode(crops, level), strict=True):
        assert rows.shape == shape
        np.testing.assert_allclose(rows, encoder.encode([crop], level)[0], atol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_a_folders_rows_are_those_of_its_model(tmp_path: Path, level: Level) -> None:
    encoder = load_face_encoder(save_face(tmp_path))
    whole: Any = encoder.model
    with torch.inference_mode():
        images = prepare_crops(encoder.processor, make_crops(2))
        expected = whole.late(images)[:, None] if level == "late" else getattr(whole, level)(images)
    np.testing.assert_allclose(np.stack(encoder.encode(make_crops(2), level)), expected, atol=1e-5)


def test_face_levels_asked_for_together_are_those_asked_for_alone(tmp_path: Path) -> None:
    encoder = load_face_encoder(save_face(tmp_path))
    with count_calls(encoder.network) as calls:
        together = encoder.embed(encoder.prepare(make_crops(3)), LEVELS)
    assert len(calls) == 1
    for level in LEVELS:
        np.testing.assert_array_equal(together[level], encoder.encode(make_crops(3), level))


def test_a_published_model_sees_what_it_was_trained_with(tmp_path: Path) -> None:
    encoder = load_face_encoder(save_face(tmp_path, {"input": PUBLISHED_IMAGE}))
    crops = make_crops(2, size_px=50)
    expected = prepare_images(crops, size_px=32)
    torch.testing.assert_close(prepare_crops(encoder.processor, crops), expected)


# --- both ------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("modality", ["audio", "face"])
def test_bf16_points_where_fp32_does(tmp_path: Path, modality: str, level: Level) -> None:
    if modality == "audio":
        folder = save_audio(tmp_path)
        one, other = (
            load_audio_encoder(folder, precision=precision).encode([make_noise(24_000)], level)
            for precision in ("fp32", "bf16")
        )
    else:
        folder = save_face(tmp_path)
        one, other = (
            load_face_encoder(folder, precision=precision).encode(make_crops(1), level)
            for precision in ("fp32", "bf16")
        )
    cosine = (one[0] * other[0]).sum() / np.linalg.norm(one[0]) / np.linalg.norm(other[0])
    assert cosine > 0.999
    assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize("load", [load_audio_encoder, load_face_encoder])
def test_an_encoder_alone_has_no_late_level(load: Callable[..., object]) -> None:
    with pytest.raises(
        EncoderError, match=r"'embedded' has no level `late`.*Fine-tune.*oragen convert"
    ):
        load("embedded", levels=("intermediate", "late"))


def test_a_model_of_the_other_modality_is_refused(tmp_path: Path) -> None:
    voice, face = save_audio(tmp_path / "voice"), save_face(tmp_path / "face")
    with pytest.raises(EncoderError, match="is a model of faces; expected one of voices"):
        load_audio_encoder(face)
    with pytest.raises(EncoderError, match="is a model of voices; expected one of faces"):
        load_face_encoder(voice)


def test_a_folder_that_does_not_say_how_its_input_is_prepared_is_refused(tmp_path: Path) -> None:
    voice = save_audio(tmp_path / "voice", metadata={"genders": ["female", "male"]})
    face = save_face(tmp_path / "face", {"genders": ["female", "male"]})
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_audio_encoder(voice)
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_face_encoder(face)
