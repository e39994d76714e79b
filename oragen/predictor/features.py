"""Windows of one clip, and frozen encoders -> a dataset of their features, in memory."""

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
from oragen.features.rows import NONE, STORED_TYPE, FeatureRows, no_rows
from oragen.features.streaming import PartName, Source
from oragen.predictor.clip_inputs import ClipInputs
from oragen.schema.vocabulary import NO_CROP, UNKNOWN_LABEL, Json, Level, Modality

if TYPE_CHECKING:  # their import takes seconds, and is made when they are loaded
    from oragen.encoders import AudioEncoder, FaceEncoder

UNUSED_PART: Final = Path("in memory")
Embedding = Float16[np.ndarray, "_ width"]


@dataclass(frozen=True)
class ModalityEncoders:
    """The encoders that a head listens and looks with, and what their features are."""

    audio: "AudioEncoder | None"
    face: "FaceEncoder | None"
    specs: Mapping[Modality, Mapping[str, Json]]
    batch_size: int

    def embed(self, modality: Modality, contents: Sequence[np.ndarray]) -> list[Embedding]:
        """Encode sounds or crops, as they would stand in a store: float16."""
        encoder: Any = self.audio if modality == "audio" else self.face
        level: Level = self.specs[modality]["level"]
        rows: list[Embedding] = []
        for start in range(0, len(contents), self.batch_size):
            prepared = encoder.prepare(list(contents[start : start + self.batch_size]))
            found = encoder.embed(prepared, (level,))[level]
            rows += [embedding.astype(STORED_TYPE) for embedding in found]
        return rows


def embed_windows(
    inputs: ClipInputs, windows: Sequence[Window], modalities: ModalityEncoders
) -> WindowDataset:
    """Encode some windows of a clip; a crop that stands in several of them is encoded once."""
    heard = [place for place, window in enumerate(windows) if window.has_speech]
    if modalities.audio is None:
        heard = []
    sounds = [
        inputs.samples[windows[place].span.start : windows[place].span.stop] for place in heard
    ]
    row_of_window = np.full(len(windows), NONE)
    row_of_window[heard] = np.arange(len(heard))
    crops = sorted({crop for window in windows for crop in window.crops} - {NO_CROP})
    if modalities.face is None:
        crops = []
    row_of_crop = {crop: row for row, crop in enumerate(crops)}
    slots = [[row_of_crop.get(crop, NONE) for crop in window.crops] for window in windows]
    audio = modalities.embed("audio", sounds) if sounds else []
    face = modalities.embed("face", [inputs.crops[crop] for crop in crops]) if crops else []
    embedded: dict[Modality, list[Embedding]] = {"audio": audio, "face": face}
    unknown = torch.full((len(windows),), UNKNOWN_LABEL)
    return WindowDataset(
        table=pd.DataFrame({"clip_id": [inputs.name] * len(windows)}),
        audio=Source(_locate(audio, modalities.specs.get("audio")), row_of_window),
        face=Source(_locate(face, modalities.specs.get("face")), np.array(slots)),
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


def _locate(rows: Sequence[Embedding], spec: Mapping[str, Json] | None) -> FeatureRows:
    if not rows:
        return no_rows(spec)
    assert spec is not None  # what is encoded is known
    counts = np.array([len(row) for row in rows])
    return FeatureRows(
        parts=(UNUSED_PART,),
        part_of=np.zeros(len(rows), np.int64),
        start_of=counts.cumsum() - counts,
        num_positions=counts,
        spec=dict(spec),
    )
