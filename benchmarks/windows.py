"""A number of windows -> random features of the published encoders' sizes, in a store."""

from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import torch

from oragen.encoders.levels import Launched, round_rows
from oragen.features.extraction import extract
from oragen.features.presence import FeatureInput
from oragen.features.spec import FeatureSpec
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, Modality
from oragen.store.parts import PartStore

AUDIO_SHAPE: Final = (199, 1024)  # wav2vec 2.0 large, 4 s
FACE_SHAPE: Final = (13, 768)  # ViT-B/16, the CLS rows of the embeddings and of 12 layers
NUM_SLOTS: Final = 4
WINDOWS_PER_CLIP: Final = 5
PART_BYTES: Final = 128 * 2**20


def make_spec(modality: Modality) -> FeatureSpec:
    """Describe features of the published encoders' sizes."""
    shape = AUDIO_SHAPE if modality == "audio" else FACE_SHAPE
    return FeatureSpec(modality, "random", "random", "0" * 64, "intermediate", "fp32", shape)


class _RandomEncoder:
    """Returns normally distributed numbers, which no codec compresses much."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape

    def prepare(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return inputs

    def launch(self, prepared: list[np.ndarray], levels: object, dtype: torch.dtype) -> Launched:
        rows = [
            np.random.default_rng(int(seed[0])).standard_normal(self._shape, dtype=np.float32)
            for seed in prepared
        ]
        return lambda: round_rows({"intermediate": rows}, dtype)


class _Window(NamedTuple):
    clip: int
    number: int

    @property
    def name(self) -> str:
        return f"clip-{self.clip:06}"

    @property
    def crops(self) -> list[int]:
        """Numbers of its crops: every window of 4 s shares two with the next, 2 s later."""
        first = self.clip * 2 * (WINDOWS_PER_CLIP + 1) + 2 * self.number
        return list(range(first, first + NUM_SLOTS))


def write_dataset(folder: Path, num_windows: int) -> pd.DataFrame:
    """Write random features of so many windows, as the stages do; return the dataset table."""
    windows = [_Window(*divmod(number, WINDOWS_PER_CLIP)) for number in range(num_windows)]
    specs = {modality: make_spec(modality) for modality in ("audio", "face")}
    sounds = {f"sound-{number}": (number, window.name) for number, window in enumerate(windows)}
    crops = {
        f"crop-{crop}": (10**7 + crop, window.name) for window in windows for crop in window.crops
    }
    for modality, seeds, batch_size in (("audio", sounds, 16), ("face", crops, 64)):
        inputs = [
            FeatureInput(key, clip, 1.0, partial(np.array, [seed]))
            for key, (seed, clip) in seeds.items()
        ]
        spec = specs[modality]
        store, encoder = PartStore(folder / modality, "zarr"), _RandomEncoder(spec.shape)
        extract(store, inputs, encoder, [spec], batch_size=batch_size, part_bytes=PART_BYTES)
    return DATASET.frame(
        [
            {
                "clip_id": window.name,
                "start": window.number * 32_000,
                "stop": window.number * 32_000 + 64_000,
                "has_window": True,
                "corpus": "random",
                "split": "train",
                "speaker_id": window.name,
                "audio_store": str(folder / "audio"),
                "audio_intermediate": specs["audio"].key_of(f"sound-{number}"),
                "face_store": str(folder / "face"),
                "face_intermediate": [
                    specs["face"].key_of(f"crop-{crop}") for crop in window.crops
                ],
                "gender": GENDERS[window.clip % 2],
                "age_years": 20.0 + window.clip % 50,
                "mask_type": MASK_TYPES[window.clip % 6],
            }
            for number, window in enumerate(windows)
        ]
    )
