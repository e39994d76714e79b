"""Small feature stores and datasets whose every number is known."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from oragen.encoders.levels import Launched, round_rows
from oragen.features.dataset import WindowDataset
from oragen.features.extraction import extract
from oragen.features.loading import load_dataset
from oragen.features.presence import FeatureInput
from oragen.features.spec import FeatureSpec
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, Level
from oragen.store.parts import PartStore

AUDIO_SHAPE, FACE_SHAPE, NUM_SLOTS = (4, 3), (2, 6), 2
WINDOW_HOP = 32_000


def make_spec(
    modality: Literal["audio", "face"] = "audio",
    *,
    fingerprint: str = "f" * 64,
    source: str = "embedded",
    shape: tuple[int, int] | None = None,
) -> FeatureSpec:
    """Describe the features of an encoder that returns its input."""
    return FeatureSpec(
        modality=modality,
        encoder="identity",
        source=source,
        fingerprint=fingerprint,
        level="intermediate",
        precision="fp32",
        shape=shape or (AUDIO_SHAPE if modality == "audio" else FACE_SHAPE),
    )


class GiveBack:
    """An encoder: the embedding of an array is the array, at every level."""

    def prepare(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return inputs

    def launch(
        self, prepared: list[np.ndarray], levels: Collection[Level], dtype: torch.dtype
    ) -> Launched:
        rows = round_rows(dict.fromkeys(levels, prepared), dtype)
        return lambda: rows


def write_features(
    folder: Path,
    embeddings: Mapping[str, np.ndarray],
    *specs: FeatureSpec,
    part_bytes: int = 2**20,
    clip_of: Callable[[str], str] = "clip of {}".format,
) -> dict[str, str]:
    """Write a row for each input key; return the features' keys."""
    inputs = [
        FeatureInput(
            key, clip_of(key), len(embedding) / specs[0].shape[0], partial(np.asarray, embedding)
        )
        for key, embedding in embeddings.items()
    ]
    store = PartStore(folder, "zarr")
    extract(store, inputs, GiveBack(), specs, batch_size=2, part_bytes=part_bytes)
    return {key: specs[0].key_of(key) for key in embeddings}


def write_speakers(
    folder: Path,
    num_clips: int,
    *,
    split: str = "train",
    seed: int = 0,
    noise: float = 0.3,
    corpus: str = "tiny",
) -> pd.DataFrame:
    """Write features that encode gender and age in the audio, and the mask type in the face.

    Returns the dataset table: two windows a clip. Clip i is female if i is even, `i % 60 + 10`
    years old, and wears mask type `i % 6`.
    """
    generator = np.random.default_rng(seed)
    audio: dict[str, np.ndarray] = {}
    face: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for i in range(num_clips):
        clip_id = f"{corpus}/{split}-{i:03}"
        age_years = i % 60 + 10.0
        labels: dict[str, Any] = {
            "clip_id": clip_id,
            "corpus": corpus,
            "split": split,
            "speaker_id": clip_id,
            "gender": GENDERS[i % 2],
            "age_years": age_years,
            "mask_type": MASK_TYPES[i % 6],
        }
        sound = np.tile([1.0 - 2 * (i % 2), age_years / 20 - 2, 0.0], (AUDIO_SHAPE[0], 1))
        picture = np.tile(np.eye(6)[i % 6], (FACE_SHAPE[0], 1))
        for window in range(2):
            key = f"{clip_id}#{window}"
            slots = [f"{key}-{slot}" for slot in range(NUM_SLOTS)]
            audio[key] = sound + noise * generator.standard_normal(AUDIO_SHAPE)
            for slot in slots:
                face[slot] = picture + noise * generator.standard_normal(FACE_SHAPE)
            rows.append(
                labels
                | {
                    "start": window * WINDOW_HOP,
                    "stop": window * WINDOW_HOP + 2 * WINDOW_HOP,
                    "has_window": True,
                    "audio_store": str(folder / "audio"),
                    "audio_intermediate": make_spec("audio").key_of(key),
                    "face_store": str(folder / "face"),
                    "face_intermediate": [make_spec("face").key_of(slot) for slot in slots],
                }
            )
    write_features(folder / "audio", audio, make_spec("audio"))
    write_features(folder / "face", face, make_spec("face"))
    return DATASET.frame(rows)


def load_speakers(
    table: pd.DataFrame, genders: Sequence[str] = GENDERS, memory_bytes: int = 2**30
) -> WindowDataset:
    """Load what `write_speakers` wrote."""
    return load_dataset(table, level="intermediate", genders=genders, memory_bytes=memory_bytes)
