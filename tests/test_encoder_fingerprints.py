"""The fingerprint of an encoder: what changes it, and what does not."""

from pathlib import Path
from typing import Any, Final

import pytest
import torch
from transformers import (
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2FeatureExtractor,
)

from oragen.encoders import (
    AudioEncoder,
    FaceEncoder,
    load_audio_encoder,
    load_face_encoder,
)
from oragen.encoders.fingerprint import describe_pooling
from oragen.encoders.sounds import PublishedInput
from oragen.models.unimodal import (
    build_audio_model,
)
from oragen.models.unimodal.audio_pooling import MeanPooling, TransformerPooling
from oragen.models.unimodal.face_pooling import GatedPooling, SelfAttentionPooling
from oragen.schema.vocabulary import Level
from tests.saved_encoders import SIZES, SPEECH_MODELS, save_audio, save_face

LEVELS: Final[tuple[Level, ...]] = ("early", "intermediate", "late")  # that a network computes


@pytest.mark.parametrize("level", LEVELS)
def test_the_fingerprint_changes_only_with_what_the_features_depend_on(
    tmp_path: Path, level: Level
) -> None:
    def build() -> Any:
        torch.manual_seed(1)
        return build_audio_model(SPEECH_MODELS["wav2vec2"]())

    def fingerprint(model: Any, extractor: Any = None) -> str:
        extractor = extractor or Wav2Vec2FeatureExtractor(return_attention_mask=True)
        return AudioEncoder(model, extractor).fingerprint(level)

    before, output_layers, pooling, encoder, correction = (build() for _ in range(5))
    with torch.no_grad():
        output_layers.decisions.age.bias += 1
        pooling.summary.merge.bias += 1
        encoder.encoder.encoder.layers[1].attention.v_proj.bias += 1
    correction.summary.pool.correction = 1
    expected = fingerprint(before)
    assert fingerprint(output_layers) == expected
    assert fingerprint(encoder) != expected
    assert (fingerprint(pooling) != expected) == (level == "late")
    assert (fingerprint(correction) != expected) == (level == "late")
    assert fingerprint(before, PublishedInput("pad_then_normalise", 64_000)) != expected
    assert fingerprint(before, Wav2Vec2FeatureExtractor(do_normalize=False)) != expected


@pytest.mark.parametrize(
    ("pooling", "name", "std_correction"),
    [
        (TransformerPooling(4, 4, num_heads=2, std_correction=1), "TransformerSummary", 1),
        (MeanPooling(4), "MeanSummary", None),
        (SelfAttentionPooling(4), "SelfAttentionSummary", 1),
        (GatedPooling(4), "GatedSummary", 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_late_features_stored_under_the_first_names_of_poolings_are_found_again(
    pooling: Any, name: str, std_correction: int | None
) -> None:
    assert describe_pooling(pooling) == {"name": name, "std_correction": std_correction}


@pytest.mark.parametrize("level", ["early", "intermediate"])
def test_an_encoder_has_one_fingerprint_alone_and_in_a_model(tmp_path: Path, level: Level) -> None:
    encoder = load_audio_encoder(save_audio(tmp_path / "voice"))
    alone = AudioEncoder(SPEECH_MODELS["wav2vec2"](), encoder.extractor)
    alone.model.load_state_dict(encoder.network.state_dict())
    assert alone.fingerprint(level) == encoder.fingerprint(level)
    face = load_face_encoder(save_face(tmp_path / "face"))
    vit = ViTModel(ViTConfig(**SIZES, image_size=32, patch_size=8))  # with a pooler
    vit.load_state_dict(face.network.state_dict(), strict=False)
    assert FaceEncoder(vit, face.processor).fingerprint(level) == face.fingerprint(level)


def test_the_fingerprint_knows_how_crops_are_prepared() -> None:
    face = load_face_encoder("embedded")
    other = ViTImageProcessor(size={"height": 64, "width": 64}, image_mean=[0.4] * 3)
    assert FaceEncoder(face.network, other).fingerprint("early") != face.fingerprint("early")
