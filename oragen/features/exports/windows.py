"""A dataset -> its windows in a random order: labels, codes, and features without padding."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float16, Int64

from oragen.features.dataset import WindowDataset
from oragen.features.rows import NONE
from oragen.features.spec import STORED_TYPE

BATCH_BYTES: Final = 2**24  # of features that are in memory at a time
MAX_BATCH: Final = 4096
LABELS: Final = (
    "clip_id", "start", "stop", "corpus", "split", "speaker_id", "gender", "age_years", "age_low",
    "age_high", "mask_type",
)  # fmt: skip
CODES: Final = ("gender_code", "mask_type_code")


class WindowBatch(NamedTuple):
    """Some windows. A modality without any features in the dataset has a width of 1, and no values.

    Features are as they are stored. Slots without a crop are zeros.
    """

    labels: pd.DataFrame  # `LABELS` and the codes of the classes
    audio: Float16[np.ndarray, "steps audio_width"]  # of all windows, one window after the other
    num_steps: Int64[np.ndarray, " batch"]  # how many of them each window has; 0: no speech
    face: Float16[np.ndarray, "batch slots layers face_width"]
    face_valid: Bool[np.ndarray, "batch slots"]

    @property
    def audio_of_windows(self) -> list[Float16[np.ndarray, "steps audio_width"]]:
        """The audio features of each window."""
        return np.split(self.audio, np.cumsum(self.num_steps)[:-1])


def read_windows(dataset: WindowDataset, *, seed: int) -> Iterator[WindowBatch]:
    """Yield all windows once, in a random order, with some megabytes of features at a time."""
    labels, num_steps = list_labels(dataset), count_steps(dataset)
    face_valid = dataset.face.row_of != NONE  # window, slot
    steps = np.arange(dataset.audio.rows.shape[0])
    generator = torch.Generator().manual_seed(seed)
    for features in dataset.read(_choose_batch_size(dataset), generator):
        windows = features.windows.numpy()
        is_real = steps < num_steps[windows, None]  # window, step
        yield WindowBatch(
            labels.iloc[windows],
            features.audio.numpy()[is_real],  # window, step, width -> step of any window, width
            num_steps[windows],
            features.face.numpy(),
            face_valid[windows],
        )


def list_labels(dataset: WindowDataset) -> pd.DataFrame:
    """Return the labels of all windows, and the codes of the classes as heads know them."""
    codes = (dataset.gender.numpy(), dataset.mask_type.numpy())
    return dataset.table[list(LABELS)].assign(**dict(zip(CODES, codes, strict=True)))


def count_steps(dataset: WindowDataset) -> Int64[np.ndarray, " windows"]:
    """Return how many positions the audio features of each window have."""
    # A row NONE (-1) is the last element: it has 0 steps.
    steps: np.ndarray = np.append(dataset.audio.rows.num_steps, 0)[dataset.audio.row_of]
    return steps.astype(np.int64)


def count_bytes(dataset: WindowDataset) -> int:
    """Return the size of the features of all windows as they are exported."""
    values = int(count_steps(dataset).sum()) * dataset.audio.rows.shape[1]
    if "face" in dataset.specs:
        layers, width = dataset.face.rows.shape
        values += dataset.face.row_of.size * layers * width
    return values * np.dtype(STORED_TYPE).itemsize


def _choose_batch_size(dataset: WindowDataset) -> int:
    positions, width = dataset.audio.rows.shape
    layers, face_width = dataset.face.rows.shape
    values: int = positions * width + dataset.face.row_of.shape[1] * layers * face_width
    return min(MAX_BATCH, max(1, BATCH_BYTES // (values * np.dtype(STORED_TYPE).itemsize)))
