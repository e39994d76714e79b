"""Whisper and w2v-BERT 2.0: the features are those of transformers, by real samples alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperModel,
)

from oragen.encoders import EncoderError, load_audio_encoder, prepare_sounds
from oragen.features.stretches import Grid
from oragen.models.unimodal import build_audio_model, load_unimodal, save_unimodal
from oragen.schema.vocabulary import Level
from tests.tiny_encoders import (
    SPEECH_MODELS,
    W2V_BERT,
    WHISPER,
    make_audio_encoder,
    make_extractor,
    make_noise,
    save_encoder,
)

NAMES: Final = ("whisper", "w2v-bert")
WHOLE_WHISPERS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "model": lambda: WhisperModel(WhisperConfig(**WHISPER)),
    "transcriber": lambda: WhisperForConditionalGeneration(WhisperConfig(**WHISPER)),
}


def prepare_two_sounds(name: str, folder: Path) -> tuple[list[np.ndarray], Any]:
    """Save a feature extractor to a folder, and prepare 1.5 s and 0.57 s of noise by it alone."""
    extractor = make_extractor(name)
    extractor.save_pretrained(folder)
    sounds = [make_noise(24_000), make_noise(9_100, seed=1)]
    floats = [sound / np.float32(2**15) for sound in sounds]
    return sounds, extractor(floats, sampling_rate=16_000, return_tensors="pt")


@pytest.mark.parametrize("kind", WHOLE_WHISPERS)
def test_whisper_gives_what_its_encoder_gives_for_the_real_samples(
    kind: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    whole: Any = WHOLE_WHISPERS[kind]()
    whole.save_pretrained(tmp_path)
    sounds, inputs = prepare_two_sounds("whisper", tmp_path)
    with torch.inference_mode():
        expected = whole.eval().get_encoder()(inputs.input_features).last_hidden_state.numpy()
    found = load_audio_encoder(str(tmp_path)).encode(sounds)
    assert [len(steps) for steps in found] == [75, 28]  # a frame every 320 samples
    np.testing.assert_allclose(found[0], expected[0, :75], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1, :28], atol=1e-5)


def test_w2v_bert_gives_what_transformers_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Wav2Vec2BertModel(Wav2Vec2BertConfig(**W2V_BERT))
    model.save_pretrained(tmp_path)
    sounds, inputs = prepare_two_sounds("w2v-bert", tmp_path)
    with torch.inference_mode():
        expected = model.eval()(**inputs).last_hidden_state.numpy()
    found = load_audio_encoder(str(tmp_path)).encode(sounds)
    # 148 columns of 25 ms every 10 ms in 1.5 s, two a frame; and 55, of which one has no other
    assert [len(steps) for steps in found] == [74, 27]
    assert inputs.attention_mask.sum(dim=1).tolist() == [74, 27]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1, :27], atol=1e-5)


def test_what_is_longer_than_whisper_takes_is_encoded_in_pieces() -> None:
    encoder = make_audio_encoder("whisper")  # which takes 2 s
    sound = make_noise(5 * 16_000)
    whole = encoder.encode([sound])[0]
    pieces = [encoder.encode([sound[start : start + 32_000]])[0] for start in (0, 32_000, 64_000)]
    assert whole.shape == encoder.feature_shape(len(sound)) == (250, 16)
    np.testing.assert_allclose(whole, np.concatenate(pieces), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_frames_of_a_stretch_are_on_a_grid(name: str) -> None:
    encoder = make_audio_encoder(name)
    grid = Grid(*encoder.frame_samples)
    for num_samples in (560, 879, 16_000, 16_123, 63_999, 64_000):
        assert grid.count(num_samples) == encoder.num_steps(num_samples)


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_that_is_too_short_for_a_frame_of_w2v_bert_gives_one(name: str) -> None:
    encoder = make_audio_encoder(name)
    for num_samples in (400, 559):  # 25 ms, the shortest window
        [rows] = encoder.encode([make_noise(num_samples)])
        assert rows.shape == encoder.feature_shape(num_samples) == (1, 16)
        assert np.isfinite(rows).all()


def test_frames_of_the_silence_behind_are_not_returned_by_the_network() -> None:
    encoder = make_audio_encoder("whisper", layers=(0, 1, 2))
    sizes: dict[str, torch.Size] = {}
    encoder.register_forward_hook(
        lambda _, __, output: sizes.update({level: rows.shape for level, rows in output.items()})
    )
    encoder.embed(encoder.prepare([make_noise(9_100)] * 2), ["early", "pooled"])
    assert sizes == {"early": (2, 28, 16), "intermediate": (2, 28, 48)}  # of 100 frames


def test_late_of_pieces_is_their_mean_over_audio_frames(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = build_audio_model(SPEECH_MODELS["whisper"](), "mean")
    save_unimodal(tmp_path, model, {})
    make_extractor("whisper").save_pretrained(tmp_path)
    encoder = load_audio_encoder(str(tmp_path), levels=["intermediate", "late"])
    sound = make_noise(40_000)  # pieces of 100 and 25 frames
    [steps], [late] = encoder.encode([sound]), encoder.encode([sound], "late")
    np.testing.assert_allclose(late, steps.mean(axis=0, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("level", ["early", "intermediate", "late", "pooled"])
@pytest.mark.parametrize("name", NAMES)
def test_every_level_of_a_fine_tuned_model(name: str, level: Level, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = build_audio_model(SPEECH_MODELS[name](), num_mask_types=6)
    save_unimodal(tmp_path, model, {})
    make_extractor(name).save_pretrained(tmp_path)
    encoder = load_audio_encoder(str(tmp_path), levels=[level])
    sounds = [make_noise(n, seed=n) for n in (24_000, 9_000, 40_000)]
    for sound, rows in zip(sounds, encoder.encode(sounds, level), strict=True):
        assert rows.shape == encoder.feature_shape(len(sound), level)
        np.testing.assert_allclose(rows, encoder.encode([sound], level)[0], atol=5e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_unimodal_model_predicts_the_same_for_any_padding(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_unimodal(tmp_path, build_audio_model(SPEECH_MODELS[name]()), {})
    model, extractor = load_unimodal(tmp_path).model.eval(), make_extractor(name)
    sounds = [make_noise(24_000), make_noise(9_000, seed=1)]
    with torch.inference_mode():
        together = model(*prepare_sounds(extractor, sounds)).gender_logits
        alone = model(*prepare_sounds(extractor, sounds[1:])).gender_logits
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


def test_fine_tuning_leaves_convolutions_and_positions_of_whisper_as_they_are() -> None:
    model = build_audio_model(SPEECH_MODELS["whisper"]().requires_grad_(True))  # as the stage
    model.freeze_front_end()
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {
        "encoder.conv1.weight", "encoder.conv1.bias", "encoder.conv2.weight",
        "encoder.conv2.bias", "encoder.embed_positions.weight",
    }  # fmt: skip


def test_whisper_in_half_precision_is_computed_in_fp32(tmp_path: Path) -> None:
    torch.manual_seed(0)
    WhisperModel(WhisperConfig(**WHISPER)).half().save_pretrained(tmp_path)
    make_extractor("whisper").save_pretrained(tmp_path)
    encoder = load_audio_encoder(str(tmp_path))
    assert {weight.dtype for weight in encoder.network.parameters()} == {torch.float32}


def test_a_whisper_that_lacks_a_weight_is_refused(tmp_path: Path) -> None:
    save_encoder(make_audio_encoder("whisper"), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["layers.1.fc1.bias"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lacks 1 weights of a whisper.*layers.1.fc1.bias"):
        load_audio_encoder(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("whisper", {"hop_length": 80}, "an audio frame of 2 columns every 80 samples"),
        ("whisper", {"chunk_length": 3}, "8 bands and 32000 samples, .* 8 bands .* 48000 samples"),
        ("whisper", {"feature_size": 80}, "8 bands and 32000 samples, .* makes them of 80 bands"),
        ("whisper", {"dither": 0.5}, "dither in its preprocessor_config.json is 0.5, expected 0"),
        ("whisper", {"feature_size": 10**7}, "feature_size 10000000, expected at most 4096"),
        ("w2v-bert", {"stride": 4}, "an audio frame of 4 columns every 160 samples"),
        ("w2v-bert", {"num_mel_bins": 10**7}, "num_mel_bins 10000000, expected at most 4096"),
        (
            "w2v-bert",
            {"feature_extractor_type": "Wav2Vec2FeatureExtractor"},
            "by a Wav2Vec2FeatureExtractor, expected a SeamlessM4TFeatureExtractor",
        ),
    ],
)
def test_a_preparation_that_does_not_fit_is_refused(
    name: str, changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    save_encoder(make_audio_encoder(name), tmp_path)
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(EncoderError, match=reason):
        load_audio_encoder(str(tmp_path))


def test_an_adapter_that_merges_frames_is_refused_with_any_stride(tmp_path: Path) -> None:
    Wav2Vec2BertModel(Wav2Vec2BertConfig(**W2V_BERT, add_adapter=True)).save_pretrained(tmp_path)
    SeamlessM4TFeatureExtractor(padding_value=1, stride=1).save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match=r"has an adapter .*merges audio frames"):
        load_audio_encoder(str(tmp_path))


def test_a_whisper_without_safetensors_is_told_how_to_get_them(tmp_path: Path) -> None:
    encoder = make_audio_encoder("whisper")
    save_encoder(encoder, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(encoder.network.state_dict(), tmp_path / "pytorch_model.bin")
    expected = r"in pytorch_model\.bin; expected model\.safetensors\. .* `save_pretrained`"
    with pytest.raises(EncoderError, match=expected):
        load_audio_encoder(str(tmp_path))
