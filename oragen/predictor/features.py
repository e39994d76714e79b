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

if TYPE_CHECKING:  # their import takes seconds, so it waits until they are loaded
    from oragen.encoders import AudioEncoder, FaceEncoder

UNUSED_PART: Final = Path("in memory")
Embedding = Float16[np.ndarray, "_ width"]


@dataclass(frozen=True)
class ModalityEncoders:
    """The encoders of a head, and the specifications of their features."""

    audio: "AudioEncoder | None"
    face: "FaceEncoder | None"
    specs: Mapping[Modality, Mapping[str, Json]]
    batch_size: int

    def embed(self, modality: Modality, contents: Sequence[np.ndarray]) -> list[Embedding]:
        """Encode waveforms or crops in the type of a store: float16."""
        encoder: Any = self.audio if modality == "audio" else self.face
        level: Level = self.specs[modality]["level"]
        rows: list[Embedding] = []
        for start in range(0, len(contents), self.batch_size):
            prepared = encoder.prepare(list(contents[start : start + self.batch_size]))
            embeddings = encoder.embed(prepared, (level,))[level]
            rows += [embedding.astype(STORED_TYPE) for embedding in embeddings]
        return rows


def embed_windows(
    inputs: ClipInputs, windows: Sequence[Window], encoders: ModalityEncoders
) -> WindowDataset:
    """Encode some windows of a clip; a crop in several of them is encoded once."""
    with_speech = [place for place, window in enumerate(windows) if window.has_speech]
    if encoders.audio is None:
        with_speech = []
    waveforms = [
        inputs.samples[windows[place].span.start : windows[place].span.stop]
        for place in with_speech
    ]
    row_of_window = np.full(len(windows), NONE)
    row_of_window[with_speech] = np.arange(len(with_speech))
    crops = sorted({crop for window in windows for crop in window.crops} - {NO_CROP})
    if encoders.face is None:
        crops = []
    row_of_crop = {crop: row for row, crop in enumerate(crops)}
    # window, slot -> row of the crop
    slots = [[row_of_crop.get(crop, NONE) for crop in window.crops] for window in windows]
    audio = encoders.embed("audio", waveforms) if waveforms else []
    face = encoders.embed("face", [inputs.crops[crop] for crop in crops]) if crops else []
    embedded: dict[Modality, list[Embedding]] = {"audio": audio, "face": face}
    unknown = torch.full((len(windows),), UNKNOWN_LABEL)
    return WindowDataset(
        table=pd.DataFrame({"clip_id": [inputs.name] * len(windows)}),
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
