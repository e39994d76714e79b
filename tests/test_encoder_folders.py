"""Encoders from folders: they come back by their fingerprint, or are refused in one line."""

from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from oragen.encoders import EncoderError, FaceEncoder, load_audio_encoder, load_face_encoder
from tests.tiny_encoders import (
    FACE_MODELS,
    SMALL_VIT,
    SPEECH_MODELS,
    make_audio_encoder,
    make_crops,
    make_face_encoder,
    make_noise,
    save_encoder,
)

# WavLM hands torch a key mask and a position bias of two types.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")


@pytest.mark.parametrize("name", ["embedded", *SPEECH_MODELS])
def test_an_audio_encoder_comes_back_from_its_folder(name: str, tmp_path: Path) -> None:
    encoder = make_audio_encoder(name)
    save_encoder(encoder, tmp_path)
    loaded = load_audio_encoder(str(tmp_path))
    waveforms = [make_noise(16_000), make_noise(9000)]
    assert loaded.fingerprint() == encoder.fingerprint()
    for before, after in zip(encoder.encode(waveforms), loaded.encode(waveforms), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", ["embedded", *FACE_MODELS])
def test_a_face_encoder_comes_back_from_its_folder(name: str, tmp_path: Path) -> None:
    encoder = make_face_encoder(name)
    save_encoder(encoder, tmp_path)
    loaded = load_face_encoder(str(tmp_path))
    assert loaded.fingerprint() == encoder.fingerprint()
    np.testing.assert_array_equal(encoder.encode(make_crops(2)), loaded.encode(make_crops(2)))


def test_a_classifier_is_the_encoder_inside_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    classifier = ViTForImageClassification(ViTConfig(**SMALL_VIT))
    classifier.save_pretrained(tmp_path)
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    processor.save_pretrained(tmp_path)
    bare = FaceEncoder(classifier.vit, processor)
    loaded = load_face_encoder(str(tmp_path))
    np.testing.assert_array_equal(bare.encode(make_crops(2)), loaded.encode(make_crops(2)))


def test_the_fingerprint_changes_with_any_weight() -> None:
    encoder = make_audio_encoder("wav2vec2")
    before = encoder.fingerprint()
    encoder.network.get_parameter("encoder.layers.1.attention.v_proj.bias")[3] += 1e-6
    assert encoder.fingerprint() != before


def test_the_fingerprint_changes_with_the_architecture() -> None:
    encoder = make_audio_encoder("wav2vec2")
    before = encoder.fingerprint()
    encoder.network.config.layer_norm_eps = 1e-3
    assert encoder.fingerprint() != before


def test_the_fingerprint_ignores_the_pooler() -> None:
    encoder = make_face_encoder("vit")
    before = encoder.fingerprint()
    encoder.network.get_parameter("pooler.dense.bias")[0] += 1
    assert encoder.fingerprint() == before


def test_bf16_is_close_but_not_the_same(tmp_path: Path) -> None:
    exact = make_audio_encoder("wav2vec2")
    save_encoder(exact, tmp_path)
    rough = load_audio_encoder(str(tmp_path), precision="bf16")
    waveform = make_noise(16_000)
    difference = np.abs(exact.encode([waveform])[0] - rough.encode([waveform])[0])
    assert 0 < difference.max() < 0.2


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    save_encoder(make_face_encoder("vit"), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["embeddings.position_embeddings"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lacks 1 weights of a vit.*position_embeddings"):
        load_face_encoder(str(tmp_path))


@pytest.mark.parametrize("load", [load_audio_encoder, load_face_encoder])
def test_a_missing_folder_is_an_error_of_one_line(
    load: Callable[[str], object], tmp_path: Path
) -> None:
    with pytest.raises(EncoderError, match="cannot be loaded") as caught:
        load(str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", [load_audio_encoder, load_face_encoder])
def test_a_hub_id_without_network_is_an_error_of_one_line(
    load: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match=r"nobody/nothing.*v1.*without network") as caught:
        load("nobody/nothing", "v1")
    assert "\n" not in str(caught.value)


def test_a_face_encoder_is_no_audio_encoder(tmp_path: Path) -> None:
    save_encoder(make_face_encoder("vit"), tmp_path)
    with pytest.raises(EncoderError, match="is a vit; expected a speech transformer"):
        load_audio_encoder(str(tmp_path))


def test_an_audio_encoder_is_no_face_encoder(tmp_path: Path) -> None:
    save_encoder(make_audio_encoder("wav2vec2"), tmp_path)
    with pytest.raises(EncoderError, match="is a wav2vec2; expected a vision transformer"):
        load_face_encoder(str(tmp_path))
