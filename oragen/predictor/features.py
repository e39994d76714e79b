"""Windows of one clip, and frozen encoders -> their features, as a dataset or as plain arrays."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float16

from oragen.detection.windows import Window
from oragen.features.dataset import WindowDataset
from oragen.features.rows import NONE, FeatureRows, no_rows
from oragen.features.spec import STORED_TYPE
from oragen.features.streaming import PartName, Source
from oragen.features.stretches import Grid, Stretching
from oragen.predictor.clip_inputs import ClipInputs
from oragen.predictor.pretrained import Pretrained
from oragen.predictor.sounds import plan_sounds
from oragen.schema.vocabulary import (
    LEVELS_OF_LAYERS,
    LEVELS_OF_VIEWS,
    NO_CROP,
    SAMPLE_RATE_HZ,
    UNKNOWN_LABEL,
    Json,
    Level,
    Modality,
)
from oragen.training.devices import choose_device

if TYPE_CHECKING:  # their import takes seconds, so it waits until they are loaded
    from oragen.encoders import AudioEncoder, FaceEncoder, OffTheShelfEncoder, SpeakerEncoder

BATCH_SIZE: Final = 16  # windows or crops
ONE_CLIP: Final = "clip"  # for the name of a file may be no text
UNUSED_PART: Final = Path("in memory")
Embedding = Float16[np.ndarray, "_ width"]


@dataclass(frozen=True)
class ModalityEncoders:
    """The encoders of a head, and the specifications of their features."""

    audio: "AudioEncoder | SpeakerEncoder | None"
    face: "FaceEncoder | OffTheShelfEncoder | None"
    specs: Mapping[Modality, Mapping[str, Json]]
    batch_size: int  # windows or crops

    @property
    def stretching(self) -> Stretching | None:
        """How sound is cut into stretches; None: by windows."""
        saved = self.specs.get("audio", {}).get("stretch")
        if saved is None or self.audio is None:
            return None
        return Stretching.from_json(saved, Grid(*self.audio.frame_samples))

    @property
    def _num_stretches(self) -> int:
        """How many stretches are as long as a batch of windows."""
        if self.stretching is None:
            return self.batch_size
        num_frames: int = self.batch_size * self.specs["audio"]["shape"][0]
        return max(1, num_frames // self.stretching.length)

    def embed_crops(self, inputs: ClipInputs, crops: Sequence[int]) -> list[Embedding]:
        """Encode some crops of a clip."""
        assert self.face is not None
        return self.embed(
            "face", [self.face.align(inputs.crops[crop], inputs.landmarks[crop]) for crop in crops]
        )

    def embed(self, modality: Modality, contents: Sequence[np.ndarray]) -> list[Embedding]:
        """Encode waveforms or crops in the type of a store: float16."""
        encoder: Any = self.audio if modality == "audio" else self.face
        level: Level = self.specs[modality]["level"]
        rows: list[Embedding] = []
        batch_size = self._num_stretches if modality == "audio" else self.batch_size
        for start in range(0, len(contents), batch_size):
            prepared = encoder.prepare(list(contents[start : start + batch_size]))
            embeddings = encoder.embed(prepared, (level,))[level]
            with np.errstate(over="ignore"):  # the output is not finite then, which is looked at
                rows += [embedding.astype(STORED_TYPE) for embedding in embeddings]
        return rows


def embed_windows(
    inputs: ClipInputs,
    windows: Sequence[Window],
    encoders: ModalityEncoders,
    *,
    zeros_where_missing: bool = False,
) -> WindowDataset:
    """Encode some windows of a clip; a crop in several of them is encoded once.

    What is missing of a modality that the head uses is absent, or rows of zeros that count as
    features.
    """
    spoken = [] if encoders.audio is None else _find_spoken(windows)
    row_of_window = np.full(len(windows), NONE)
    row_of_window[spoken] = np.arange(len(spoken))
    crops = sorted({crop for window in windows for crop in window.crops} - {NO_CROP})
    if encoders.face is None:
        crops = []
    row_of_crop = {crop: row for row, crop in enumerate(crops)}
    # window, slot -> row of the crop
    slots = [[row_of_crop.get(crop, NONE) for crop in window.crops] for window in windows]
    audio = _embed_spoken(inputs, windows, encoders) if spoken else []
    face = encoders.embed_crops(inputs, crops) if crops else []
    if zeros_where_missing and "audio" in encoders.specs:
        row_of_window[row_of_window == NONE] = len(audio)
        audio = [*audio, _zeros(encoders.specs["audio"])]
    if zeros_where_missing and "face" in encoders.specs:
        slots = [[len(face) if row == NONE else row for row in window] for window in slots]
        face = [*face, _zeros(encoders.specs["face"])]
    embedded: dict[Modality, list[Embedding]] = {"audio": audio, "face": face}
    unknown = torch.full((len(windows),), UNKNOWN_LABEL)
    return WindowDataset(
        table=pd.DataFrame({"clip_id": [ONE_CLIP] * len(windows)}),
        audio=Source(_locate(audio, encoders.specs.get("audio")), row_of_window),
        face=Source(_locate(face, encoders.specs.get("face")), np.array(slots)),
        gender=unknown,
        age_years=torch.full((len(windows),), torch.nan),
        mask_type=unknown,
        in_memory={
            PartName(modality, 0): np.concatenate(rows)
            for modality, rows in embedded.items()
            if rows
        },
        memory_bytes=0,
    )


def _zeros(spec: Mapping[str, Json]) -> Embedding:
    return np.zeros(spec["shape"], STORED_TYPE)


def choose_level(loaded: Pretrained, level: Level | None) -> ModalityEncoders:
    """Return the encoders of a model, at a level that may be another than the head's.

    Raises:
        EncoderError: an encoder has no such level.
    """
    from oragen.encoders import OffTheShelfEncoder, SpeakerEncoder
    from oragen.encoders.levels import refuse_early
    from oragen.encoders.source import refuse_late
    from oragen.models.unimodal import UnimodalAudioModel, UnimodalFaceModel

    encoders: dict[Modality, Any] = {"audio": loaded.audio, "face": loaded.face}
    specs: dict[Modality, dict[str, Json]] = {}
    for modality, spec in loaded.specs.items():
        encoder, wanted = encoders[modality], level or spec["level"]
        if isinstance(encoder, OffTheShelfEncoder | SpeakerEncoder):
            refuse_early(spec["source"], [wanted])
        elif not isinstance(encoder.model, UnimodalAudioModel | UnimodalFaceModel):
            refuse_late(spec["source"], [wanted])
        specs[modality] = spec | {"level": wanted, "fingerprint": encoder.fingerprint(wanted)}
        if wanted not in LEVELS_OF_VIEWS:  # of a whole window
            specs[modality].pop("stretch", None)
        if wanted not in LEVELS_OF_LAYERS:
            specs[modality].pop("layers", None)
    device = choose_device("auto")
    return ModalityEncoders(
        audio=None if loaded.audio is None else loaded.audio.to(device),
        face=None if loaded.face is None else loaded.face.to(device),
        specs=specs,
        batch_size=BATCH_SIZE,
    )


def embed_clip(inputs: ClipInputs, encoders: ModalityEncoders) -> dict[str, np.ndarray]:
    """Encode all windows and crops of a clip -> the arrays that `oragen features` writes."""
    spans = np.array([window.span for window in inputs.windows], np.int64)
    arrays = {
        "windows": spans,
        "window_times_s": spans / SAMPLE_RATE_HZ,
        "crops": np.array([window.crops for window in inputs.windows], np.int64),
        "crop_times_s": np.array([box.time_s for box in inputs.boxes]),
    }
    if encoders.audio is not None:
        arrays |= _embed_sounds(inputs, encoders, encoders.audio)
    if encoders.face is not None:
        rows = encoders.embed_crops(inputs, range(len(inputs.crops)))
        shape = encoders.face.feature_shape(encoders.specs["face"]["level"])
        arrays["face"] = np.stack(rows) if rows else np.zeros((0, *shape), STORED_TYPE)
    return arrays


def describe_features(
    inputs: ClipInputs, loaded: Pretrained, encoders: ModalityEncoders
) -> np.ndarray:
    """Say in JSON how arrays were made; text as an array needs no pickle."""
    kept = ("encoder", "source", "level", "fingerprint", "precision", "stretch", "layers")
    described = {
        "clip": inputs.name,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "features": {
            modality: {key: spec[key] for key in kept if key in spec}
            for modality, spec in encoders.specs.items()
        },
        "reasons": {"audio": inputs.audio_reason, "face": inputs.face_reason},
        "notes": inputs.notes,
        "model": loaded.description,
    }
    return np.array(json.dumps(described, ensure_ascii=False))


def _embed_sounds(
    inputs: ClipInputs, encoders: ModalityEncoders, encoder: "AudioEncoder | SpeakerEncoder"
) -> dict[str, np.ndarray]:
    """Encode the windows with speech; the others have no valid position."""
    spoken = _find_spoken(inputs.windows)
    rows = _embed_spoken(inputs, inputs.windows, encoders) if spoken else []
    _, width = encoder.feature_shape(SAMPLE_RATE_HZ, encoders.specs["audio"]["level"])
    size = len(inputs.windows), max(map(len, rows), default=0)
    audio, valid = np.zeros((*size, width), STORED_TYPE), np.zeros(size, np.bool_)
    for place, row in zip(spoken, rows, strict=True):
        audio[place, : len(row)], valid[place, : len(row)] = row, True
    return {"audio": audio, "audio_valid": valid}


def _find_spoken(windows: Sequence[Window]) -> list[int]:
    return [place for place, window in enumerate(windows) if window.has_speech]


def _embed_spoken(
    inputs: ClipInputs, windows: Sequence[Window], encoders: ModalityEncoders
) -> list[Embedding]:
    """Encode the sound of the windows with speech: each by itself, or as views into stretches."""
    plan = plan_sounds(inputs, windows, encoders.stretching)
    return plan.take(encoders.embed("audio", plan.sounds))


def _locate(rows: Sequence[Embedding], spec: Mapping[str, Json] | None) -> FeatureRows:
    if not rows:
        return no_rows(spec)
    assert spec is not None  # rows come from an encoder with a specification
    counts = np.array([len(row) for row in rows])
    return FeatureRows(
        parts=(UNUSED_PART,),
        part_of=np.zeros(len(rows), np.int64),
        start_of=counts.cumsum() - counts,
        num_positions=counts,
        spec=dict(spec),
    )
