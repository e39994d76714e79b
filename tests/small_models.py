"""Small models with random weights, in folders as commands and libraries write them."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import timm
import torch
from transformers import (
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

from oragen.config.params import load_params
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from oragen.corpora.generator.voice import speak
from oragen.encoders import load_any_audio_encoder, load_audio_encoder, load_face_encoder
from oragen.encoders.layers import Layers
from oragen.features.spec import FeatureSpec
from oragen.models.heads import HeadSizes, build_head, save_head
from oragen.models.unimodal import build_audio_model, build_face_model, save_unimodal
from oragen.predictor import Prediction, Predictor
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, SAMPLE_RATE_HZ, Level
from oragen.training.calibration import Calibration
from oragen.training.familiarity import KnownFeatures
from oragen.training.familiarity_files import save_familiarity
from tests.project import REPOSITORY
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
    layers: Layers = "last",
) -> Path:
    """Write a head with random weights on these encoders, as `train_head` would."""
    audio_encoder = load_any_audio_encoder(audio, levels=[level], layers=layers)
    face_encoder = load_face_encoder(face, levels=[level])
    audio_shape = audio_encoder.feature_shape(NUM_SAMPLES, level)
    face_shape = face_encoder.feature_shape(level)
    audio_spec = FeatureSpec(
        "audio", "voices", audio, audio_encoder.fingerprint(level), level, "fp32", audio_shape,
        layers=None if layers == "last" else tuple(range(audio_shape[1] // 128)),
    )  # fmt: skip
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


def save_model(folder: Path, *, with_mask_types: bool = True) -> Path:
    """Save a head with random weights on the embedded encoders, prepared for as in params.yaml."""
    params = load_params(REPOSITORY / "params.yaml")
    audio = load_audio_encoder("embedded", None, precision="fp32", levels=["intermediate"])
    face = load_face_encoder("embedded", None, precision="fp32", levels=["intermediate"])
    audio_shape = audio.feature_shape(round(params.windows.length_s * SAMPLE_RATE_HZ))
    face_shape = face.feature_shape()
    make_spec = partial(FeatureSpec, encoder="tiny", source="embedded", level="intermediate",
                        precision="fp32")  # fmt: skip
    specs = {
        "audio": make_spec("audio", fingerprint=audio.fingerprint(), shape=audio_shape).as_json(),
        "face": make_spec("face", fingerprint=face.fingerprint(), shape=face_shape).as_json(),
    }
    mask_types = MASK_TYPES if with_mask_types else ()
    torch.manual_seed(0)
    head = build_head(
        "cross_attention",
        HeadSizes(*audio_shape, 4, *face_shape, len(GENDERS), len(mask_types)),
        width=16,
        num_heads=2,
    )
    save_head(
        folder,
        head,
        {
            "genders": list(GENDERS),
            "mask_types": list(mask_types),
            "trained_on": ["studio"],
            "features": specs,
            "preprocessing": {
                "audio": params.audio.as_cache_parameters(),
                "speech": params.speech.as_cache_parameters(),
                "faces": params.faces.settle("cascade", 96).model_dump(mode="json"),
                "windows": params.windows.as_cache_parameters(),
            },
            "calibration": {"age_half_width_years": 9.5},
        },
    )
    return folder


def add_familiarity(folder: Path, *, limit: float) -> None:
    """Let a model measure how far features are from 0, in units of the limit."""
    saved = json.loads((folder / "head.json").read_text())
    widths = {name: spec["shape"][1] for name, spec in saved["metadata"]["features"].items()}
    familiarity = {
        modality: KnownFeatures(np.zeros(width, np.float32), np.eye(width, dtype=np.float32), limit)
        for modality, width in widths.items()
    }
    change_metadata(folder, familiarity=save_familiarity(folder, familiarity))


def change_metadata(folder: Path, **fields: object) -> None:
    """Change fields of the metadata of a head."""
    saved = json.loads((folder / "head.json").read_text())
    saved["metadata"] |= fields
    (folder / "head.json").write_text(json.dumps(saved))


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
