"""Frozen encoders: from a folder, or embedded; no network."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    Dinov2Config,
    Dinov2Model,
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from oragen.encoders import (
    AudioEncoder,
    EncoderError,
    FaceEncoder,
    PublishedInput,
    load_audio_encoder,
    load_face_encoder,
)
from oragen.encoders.embedded import WEIGHT_STEP
from oragen.encoders.embedded_audio import design_wav2vec2
from oragen.encoders.embedded_face import design_vit

# WavLM hands torch a key mask and a position bias of two types.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

RATE_HZ: Final = 16_000
SIZES: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
SPEECH: Final[dict[str, Any]] = SIZES | {
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0,
}
LAYER_NORM: Final = SPEECH | {
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
SMALL_VIT: Final = SIZES | {"image_size": 32, "patch_size": 8}

SPEECH_MODELS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "wav2vec2": lambda: Wav2Vec2Model(Wav2Vec2Config(**LAYER_NORM)),
    "wav2vec2 with group norm": lambda: Wav2Vec2Model(Wav2Vec2Config(**SPEECH)),
    "hubert": lambda: HubertModel(HubertConfig(**LAYER_NORM)),
    "wavlm": lambda: WavLMModel(WavLMConfig(**LAYER_NORM)),
    "data2vec": lambda: Data2VecAudioModel(Data2VecAudioConfig(**SPEECH)),
}
FACE_MODELS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "vit": lambda: ViTModel(ViTConfig(**SMALL_VIT)),
    "vit without pooler": lambda: ViTModel(ViTConfig(**SMALL_VIT), add_pooling_layer=False),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**SMALL_VIT)),
}


def make_audio_encoder(name: str) -> AudioEncoder:
    if name == "embedded":
        return load_audio_encoder("embedded")
    torch.manual_seed(1)
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask="group" not in name)
    return AudioEncoder(SPEECH_MODELS[name](), extractor)


def make_face_encoder(name: str) -> FaceEncoder:
    if name == "embedded":
        return load_face_encoder("embedded")
    torch.manual_seed(1)
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    return FaceEncoder(FACE_MODELS[name](), processor)


def save_encoder(encoder: AudioEncoder | FaceEncoder, folder: Path) -> None:
    """Write a bare encoder in the way of the folders that people have."""
    encoder.network.save_pretrained(folder)  # type: ignore[operator]  # of transformers here
    preparation = encoder.extractor if isinstance(encoder, AudioEncoder) else encoder.processor
    assert not isinstance(preparation, PublishedInput)
    preparation.save_pretrained(folder)


def make_noise(num_samples: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=3000, size=num_samples)
    return noise.astype(np.int16)


def make_crops(number: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (number, 48, 48, 3), dtype=np.uint8))


# --- audio -----------------------------------------------------------------------------------


def test_four_seconds_are_199_steps_of_the_embedded_encoder() -> None:
    assert load_audio_encoder("embedded").num_steps(64_000) == 199


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


def test_a_waveforms_level_and_offset_do_not_matter() -> None:
    encoder = load_audio_encoder("embedded")
    waveform = make_noise(16_000) // 2
    [steps, louder] = encoder.encode([waveform, 3 * waveform + 1000])
    np.testing.assert_allclose(steps, louder, atol=1e-3)


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


def test_all_layers_but_the_first_see_the_crop() -> None:
    encoder = load_face_encoder("embedded")
    spread = np.median(np.std(encoder.encode(make_crops(8)), axis=0, ddof=1), axis=1)
    assert spread[0] == 0
    assert (spread[1:] > 0.05).all()


@pytest.mark.parametrize("name", ["embedded", *FACE_MODELS])
def test_what_a_crop_gives_does_not_depend_on_its_batch(name: str) -> None:
    encoder = make_face_encoder(name)
    crops = make_crops(4)
    for crop, rows in zip(crops, encoder.encode(crops), strict=True):
        np.testing.assert_allclose(rows, encoder.encode([crop])[0], atol=1e-5)


def test_a_place_can_be_read_off_the_embedded_encoder() -> None:
    rng = np.random.default_rng(0)
    crops = np.stack(make_crops(120)) // 4
    corners = rng.integers(0, 36, size=(120, 2))
    for crop, (y, x) in zip(crops, corners, strict=True):
        crop[y : y + 12, x : x + 12] += 150
    features = np.stack(load_face_encoder("embedded").encode(list(crops))).reshape(120, -1)
    errors_px = read_off(features, corners.astype(float)) - corners[60:]
    assert np.median(np.abs(errors_px)) < 4


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


def test_bf16_is_close_but_not_the_same(tmp_path: Path) -> None:
    exact = make_audio_encoder("wav2vec2")
    save_encoder(exact, tmp_path)
    rough = load_audio_encoder(str(tmp_path), precision="bf16")
    waveform = make_noise(16_000)
    difference = np.abs(exact.encode([waveform])[0] - rough.encode([waveform])[0])
    assert 0 < difference.max() < 0.2


# --- refused ---------------------------------------------------------------------------------


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
