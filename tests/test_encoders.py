"""Frozen encoders: inputs of any length and batch -> features of the announced shape."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from oragen.encoders import AudioEncoder, FaceEncoder, load_audio_encoder, load_face_encoder
from tests.tiny_encoders import (
    FACE_MODELS,
    SPEECH_MODELS,
    make_audio_encoder,
    make_crops,
    make_face_encoder,
    make_noise,
)

# WavLM hands torch a key mask and a position bias of two types.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")


# --- audio -----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_samples", [640, 16_000, 24_001, 64_000])
@pytest.mark.parametrize("name", ["embedded", *SPEECH_MODELS])
def test_as_many_steps_as_announced(name: str, num_samples: int) -> None:
    encoder = make_audio_encoder(name)
    [steps] = encoder.encode([make_noise(num_samples)])
    assert steps.shape == encoder.feature_shape(num_samples)
    assert len(steps) == encoder.num_steps(num_samples)


@pytest.mark.parametrize("name", ["embedded", *SPEECH_MODELS])
def test_what_a_waveform_gives_does_not_depend_on_its_batch(name: str) -> None:
    encoder = make_audio_encoder(name)
    waveforms = [make_noise(n, seed=n) for n in (24_000, 24_000, 16_123, 9_000)]
    together = encoder.encode(waveforms)
    for waveform, steps in zip(waveforms, together, strict=True):
        assert len(steps) == encoder.num_steps(len(waveform))
        np.testing.assert_allclose(steps, encoder.encode([waveform])[0], atol=5e-5)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2 with group norm"])
def test_a_mask_is_given_only_to_a_network_that_takes_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make_audio_encoder(name)
    masks: list[object] = []
    forward = encoder.network.forward

    def spy(*args: object, attention_mask: object = None, **kwargs: object) -> object:
        masks.append(attention_mask)
        return forward(*args, attention_mask=attention_mask, **kwargs)

    monkeypatch.setattr(encoder.model, "forward", spy)
    encoder.encode([make_noise(9000), make_noise(7000)])
    assert all((mask is None) == ("group" in name) for mask in masks)


# --- face ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["embedded", *FACE_MODELS])
def test_the_cls_row_of_every_hidden_state(name: str) -> None:
    encoder = make_face_encoder(name)
    crops = make_crops(3)
    pixels = encoder.processor(crops, return_tensors="pt").pixel_values
    with torch.inference_mode():
        states = encoder.network(pixels, output_hidden_states=True).hidden_states
    rows = torch.from_numpy(np.stack(encoder.encode(crops)))
    assert isinstance(encoder.network, PreTrainedModel)
    blocks = encoder.network.config.num_hidden_layers
    assert rows.shape == (3, *encoder.feature_shape())
    assert rows.shape[1] == blocks + 1
    for layer in range(blocks + 1):
        torch.testing.assert_close(rows[:, layer], states[layer][:, 0])


@pytest.mark.parametrize("name", ["embedded", *FACE_MODELS])
def test_what_a_crop_gives_does_not_depend_on_its_batch(name: str) -> None:
    encoder = make_face_encoder(name)
    crops = make_crops(4)
    for crop, rows in zip(crops, encoder.encode(crops), strict=True):
        np.testing.assert_allclose(rows, encoder.encode([crop])[0], atol=1e-5)


# --- both ------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_audio_encoder, load_face_encoder])
def test_an_encoder_is_born_frozen(load: Callable[[str], AudioEncoder | FaceEncoder]) -> None:
    encoder = load("embedded")
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not any(module.training for module in encoder.model.modules())


def test_no_graph_is_built() -> None:
    encoder = load_audio_encoder("embedded")
    [sounds] = encoder.prepare([make_noise(16_000)]).batches
    steps = encoder(*sounds, ("intermediate",))["intermediate"]
    assert steps.is_inference()
    assert not steps.requires_grad
