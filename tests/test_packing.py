"""Models in one folder: encoders beside the head predict as encoders elsewhere did."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import timm
import torch
import yaml
from transformers import (
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

from oragen.corpora.generator import CorpusSpec, plan_clips, speak
from oragen.detection.yunet_weights import YUNET_FILE
from oragen.encoders import load_audio_encoder, load_face_encoder
from oragen.features.rows import FeatureSpec
from oragen.models.folder import DESCRIPTION_FILE
from oragen.models.heads import HeadSizes, build_head, save_head
from oragen.models.unimodal import build_audio_model, build_face_model, save_unimodal
from oragen.predictor import ModelError, Prediction, Predictor
from oragen.predictor.packing import pack_model
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, Level
from oragen.training.calibration import Calibration
from tests.unimodal_models import FACE_CONFIG, SPEECH_CONFIG

PREPROCESSING: Final[dict[str, Any]] = {
    "audio": {"max_duration_s": 60.0},
    "speech": {"threshold": 0.5, "min_speech_ms": 250, "min_silence_ms": 100, "pad_ms": 30},
    "faces": {
        "detector": "cascade", "weights": None, "min_score": 0.6, "max_gap": 2, "margin": 0.15,
        "crop_px": 48, "max_duration_s": 60.0,
    },
    "windows": {"rule": "every_overlap", "length_s": 1.0, "hop_s": 0.5, "min_length_s": 0.5},
}  # fmt: skip
NUM_SAMPLES, NUM_SLOTS = 16_000, 1  # of a window of a second
TIMM_ARGUMENTS: Final[dict[str, Any]] = {
    "img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2,
}  # fmt: skip


def write_model(
    folder: Path,
    *,
    audio: str = "embedded",
    face: str = "embedded",
    level: Level = "intermediate",
    name: HeadName = "cross_attention",
) -> Path:
    """Write a head with random weights on these encoders, as `train_head` would."""
    audio_encoder = load_audio_encoder(audio, levels=[level])
    face_encoder = load_face_encoder(face, levels=[level])
    audio_shape = audio_encoder.feature_shape(NUM_SAMPLES, level)
    face_shape = face_encoder.feature_shape(level)
    audio_spec = FeatureSpec(
        "audio", "voices", audio, audio_encoder.fingerprint(level), level, "fp32", audio_shape
    )
    face_spec = FeatureSpec(
        "face", "pictures", face, face_encoder.fingerprint(level), level, "fp32", face_shape
    )
    torch.manual_seed(0)
    sizes = HeadSizes(*audio_shape, NUM_SLOTS, *face_shape, len(GENDERS), len(MASK_TYPES))
    metadata = {
        "genders": list(GENDERS),
        "mask_types": list(MASK_TYPES),
        "trained_on": ["tiny"],
        "features": {"audio": audio_spec.as_json(), "face": face_spec.as_json()},
        "preprocessing": PREPROCESSING,
        "calibration": Calibration(1.5, 0.8, 7.25).as_json(),
    }
    save_head(folder, build_head(name, sizes, width=16), metadata)
    return folder


def save_finetuned(folder: Path) -> tuple[str, str]:
    torch.manual_seed(1)
    speech = Wav2Vec2Model(Wav2Vec2Config(**SPEECH_CONFIG))
    save_unimodal(folder / "voices", build_audio_model(speech), {})
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder / "voices")
    vit = ViTModel(ViTConfig(**FACE_CONFIG), add_pooling_layer=False)
    save_unimodal(folder / "pictures", build_face_model(vit), {})
    make_processor().save_pretrained(folder / "pictures")
    return str(folder / "voices"), str(folder / "pictures")


def save_as_transformers_does(folder: Path) -> tuple[str, str]:
    torch.manual_seed(2)
    Wav2Vec2Model(Wav2Vec2Config(**SPEECH_CONFIG)).save_pretrained(folder / "voices")
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder / "voices")
    ViTModel(ViTConfig(**FACE_CONFIG)).save_pretrained(folder / "pictures")
    make_processor().save_pretrained(folder / "pictures")
    return str(folder / "voices"), str(folder / "pictures")


def save_as_timm_does(folder: Path) -> tuple[str, str]:
    torch.manual_seed(3)
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=3, **TIMM_ARGUMENTS)
    timm.models.save_for_hf(
        vit, str(folder / "pictures"), model_args=TIMM_ARGUMENTS, safe_serialization=True
    )
    return "embedded", str(folder / "pictures")


def make_processor() -> ViTImageProcessor:
    size = FACE_CONFIG["image_size"]
    return ViTImageProcessor(size={"height": size, "width": size})


def make_sound() -> np.ndarray:
    """Let somebody speak for 3 s."""
    traits = plan_clips(CorpusSpec("studio", num_speakers=6, seed=1))[0].traits
    return np.asarray(speak(traits.voice, 3.0, np.random.default_rng(0)).waveform)


def predict(folder: Path) -> Prediction:
    """Predict on random crops and a sound; without the folder of the model."""
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    prediction = Predictor.from_pretrained(folder, device="cpu").predict(
        audio=make_sound(), faces=list(crops)
    )
    described = {key: text for key, text in prediction.model.items() if key != "folder"}
    return replace(prediction, model=described)


@pytest.mark.parametrize(
    ("save", "level"),
    [
        (save_finetuned, "intermediate"),
        (save_finetuned, "late"),
        (save_as_transformers_does, "intermediate"),
        (save_as_timm_does, "intermediate"),
    ],
)
def test_a_packed_model_predicts_the_same_without_what_it_was_made_of(
    tmp_path: Path, save: Callable[[Path], tuple[str, str]], level: Level
) -> None:
    audio, face = save(tmp_path / "encoders")
    head = write_model(tmp_path / "head", audio=audio, face=face, level=level)
    expected = predict(head)
    assert all(report.usable for report in expected.modalities.values()), expected.reasons
    pack_model(head, tmp_path / "packed")
    shutil.move(tmp_path / "packed", tmp_path / "elsewhere" / "model")
    shutil.rmtree(tmp_path / "encoders")
    shutil.rmtree(head)
    assert predict(tmp_path / "elsewhere" / "model") == expected


def test_embedded_encoders_are_not_copied(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    pack_model(head, tmp_path / "packed")
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == [
        "README.md", "SHA256SUMS", "head.json", "model.safetensors",
    ]  # fmt: skip
    assert predict(tmp_path / "packed") == predict(head)


def test_the_weights_of_the_face_detector_are_taken_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = (hashlib.sha256(b"weights").hexdigest(),)
    monkeypatch.setattr("oragen.detection.yunet_weights.KNOWN_YUNET", published)
    (tmp_path / "yunet.onnx").write_bytes(b"weights")
    head = write_model(tmp_path / "head")
    description = json.loads((head / DESCRIPTION_FILE).read_text())
    faces = description["metadata"]["preprocessing"]["faces"]
    faces |= {"detector": "yunet", "weights": str(tmp_path / "yunet.onnx")}
    (head / DESCRIPTION_FILE).write_text(json.dumps(description))
    pack_model(head, tmp_path / "packed")
    assert (tmp_path / "packed" / YUNET_FILE).read_bytes() == b"weights"


def test_the_sums_are_those_of_all_files(tmp_path: Path) -> None:
    audio, face = save_finetuned(tmp_path / "encoders")
    pack_model(write_model(tmp_path / "head", audio=audio, face=face), tmp_path / "packed")
    lines = (tmp_path / "packed" / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path for path in (tmp_path / "packed").rglob("*") if path.is_file()}
    assert {tmp_path / "packed" / name for name in sums} == files - {
        tmp_path / "packed" / "SHA256SUMS"
    }
    assert "audio_encoder/model.safetensors" in sums
    for name, digest in sums.items():
        content = (tmp_path / "packed" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest


def test_the_card_says_what_the_model_is_and_how_well_it_does(tmp_path: Path) -> None:
    metrics = {"tiny": {"audio_visual": {"clips": 25, "gender_uar": 0.875, "age_mae_years": 8.13}}}
    pack_model(write_model(tmp_path / "head"), tmp_path / "packed", metrics=metrics)
    card = (tmp_path / "packed" / "README.md").read_text()
    _, front_matter, text = card.split("---\n", 2)
    described = yaml.safe_load(front_matter)
    assert described["license"] == "other"
    assert described["library_name"] == "oragen"
    assert "age-recognition" in described["tags"]
    assert "Gender, in this order: female, male." in text
    assert "none, tissue, medical, ffp, respirator, shield" in text
    assert "± 7.2 for 90% of clips" in text
    assert "Trained on: tiny." in text
    assert "| tiny | 25 | 87.5 | 8.1 |  |" in text
    assert "Intended use and limits" in text


def test_a_card_without_metrics_has_no_table_of_them(tmp_path: Path) -> None:
    pack_model(write_model(tmp_path / "head"), tmp_path / "packed")
    assert "Results" not in (tmp_path / "packed" / "README.md").read_text()


def test_a_folder_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="is not empty"):
        pack_model(head, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    pack_model(head, tmp_path / "empty")
    assert (tmp_path / "empty" / "head.json").is_file()


def test_an_encoder_that_is_not_the_heads_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    description = json.loads((head / DESCRIPTION_FILE).read_text())
    description["metadata"]["features"]["audio"]["fingerprint"] = "0" * 64
    (head / DESCRIPTION_FILE).write_text(json.dumps(description))
    with pytest.raises(ModelError, match="not the one that the head"):
        pack_model(head, tmp_path / "packed")
    assert [path.name for path in tmp_path.iterdir()] == ["head"]
