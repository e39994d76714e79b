"""Windows of training and of dev -> how unlike them a clip is, in units of the dev clips' limit.

The features of a window are pooled: audio over its frames, faces over its crops in the encoder's
last layer. Their Mahalanobis distance from the training windows finds inputs of another kind (Lee
et al. 2018, arXiv 1807.03888). The covariance is shrunk (Ledoit and Wolf 2004,
doi 10.1016/S0047-259X(03)00096-4), as there may be fewer windows than dimensions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from torch import Tensor

from oragen.features.dataset import Batch, WindowDataset
from oragen.schema.vocabulary import MODALITY_SETS, Modality, ModalitySet
from oragen.training.calibration import conformal_half_width

RATE: Final = 0.95  # of the dev clips are within the limit
MAX_WINDOWS: Final = 10_000  # of training whose pooled features are in memory
MAX_WIDTH: Final = 2_048  # of features: a matrix of 16 MB
MIN_WINDOWS: Final = 10  # of training; with fewer nothing is fitted
MIN_CLIPS: Final = 10  # of dev
MIN_LIMIT: Final = 1e-6  # of a distance
MAX_LIMIT: Final = 1e9
SMALLEST_SCALE: Final = 0.01  # of a dimension, as a share of the mean: a constant one is no limit
BATCH_SIZE: Final = 256
MEMBERS: Final[Mapping[ModalitySet, tuple[Modality, ...]]] = {
    "audio_visual": ("audio", "face"), "audio": ("audio",), "face": ("face",),
}  # fmt: skip
assert set(MEMBERS) == set(MODALITY_SETS)


@dataclass(frozen=True)
class KnownFeatures:
    """Where the training windows lie in the space of one modality's pooled features."""

    mean: Float32[np.ndarray, " width"]
    whitening: Float32[np.ndarray, "width width"]  # W: the precision is W^T W
    limit: float  # distance of a dev clip at the rate `RATE`

    def measure(
        self, pooled: Float32[np.ndarray, "windows width"]
    ) -> Float64[np.ndarray, " windows"]:
        """Return Mahalanobis distances in units of the limit; NaN where a window has none."""
        away = (pooled.astype(np.float64) - self.mean) @ self.whitening.T.astype(np.float64)
        return np.sqrt((away**2).sum(axis=1)) / self.limit  # type: ignore[no-any-return]


Familiarity = Mapping[Modality, KnownFeatures]


def fit_familiarity(
    train: WindowDataset, dev: WindowDataset | None, modalities: ModalitySet
) -> Familiarity:
    """Fit distances on at most `MAX_WINDOWS` windows of training, and their limits on dev clips.

    With several modalities each has a higher limit, so that together at most one of twenty dev
    clips is beyond one (Bonferroni).

    Args:
        train: windows that a head learns from.
        dev: windows of other speakers; None: there is no limit, so nothing is fitted.
        modalities: that the head uses.

    Returns:
        an entry for each modality with enough windows and dev clips, and not too wide features.
    """
    if dev is None:
        return {}
    sample = train.choose(_spread(len(train), MAX_WINDOWS))
    members = MEMBERS[modalities]
    fitted: dict[Modality, KnownFeatures] = {}
    for modality, pooled in _pool_all(sample, members).items():
        known = pooled[np.isfinite(pooled).all(axis=1)]
        if len(known) >= MIN_WINDOWS and known.shape[1] <= MAX_WIDTH:
            fitted[modality] = KnownFeatures(known.mean(axis=0), _whiten(known), 1.0)
    distances = measure_clips(fitted, dev)
    rate = 1 - (1 - RATE) / len(members)
    limits = {modality: find_limit(distances[modality], rate) for modality in fitted}
    return {
        modality: KnownFeatures(known.mean, known.whitening, limit)
        for modality, known in fitted.items()
        if (limit := limits[modality]) is not None
    }


def find_limit(distances: pd.Series, rate: float) -> float | None:
    """Return the distance that a new clip does not exceed at a rate, see `conformal_half_width`.

    Of too few clips for the rate it is the largest. None with fewer than `MIN_CLIPS`, or for a
    distance that cannot be one: features that hardly vary have none.
    """
    known = np.sort(distances.dropna().to_numpy())
    if len(known) < MIN_CLIPS:
        return None
    limit = conformal_half_width(known, rate)
    limit = float(known[-1]) if limit is None else limit
    return limit if MIN_LIMIT <= limit <= MAX_LIMIT else None


def measure_clips(familiarity: Familiarity, dataset: WindowDataset) -> pd.DataFrame:
    """Return the mean of `measure_windows` over the windows of each clip, indexed by `clip_id`."""
    return measure_windows(familiarity, dataset).groupby(dataset.table["clip_id"]).mean()


def measure_windows(familiarity: Familiarity, dataset: WindowDataset) -> pd.DataFrame:
    """Return how far each window is from those of training, a column for each modality.

    1 is the limit. NaN: the window lacks the modality.
    """
    distances = {modality: np.full(len(dataset), np.nan) for modality in familiarity}
    for block in _pool_batches(dataset, list(familiarity)):
        for modality, pooled in block.pooled.items():
            distances[modality][block.windows] = familiarity[modality].measure(pooled)
    return pd.DataFrame(distances, range(len(dataset)))


def join_modalities(distances: pd.DataFrame, modalities: ModalitySet) -> pd.Series:
    """Return the largest distance of the modalities in a set; NaN where all are missing."""
    used = [modality for modality in MEMBERS[modalities] if modality in distances]
    return distances[used].max(axis=1)


class _Pooled(NamedTuple):
    """The pooled features of some windows; rows of NaN where a window has none."""

    windows: Int64[np.ndarray, " batch"]
    pooled: dict[Modality, Float32[np.ndarray, "batch width"]]


def _pool_batches(dataset: WindowDataset, modalities: Sequence[Modality]) -> Iterator[_Pooled]:
    if not modalities:
        return
    for batch in dataset.batches(BATCH_SIZE, torch.device("cpu")):
        yield _Pooled(
            batch.windows.numpy(), {modality: _pool(batch, modality) for modality in modalities}
        )


def _pool_all(
    dataset: WindowDataset, modalities: Sequence[Modality]
) -> dict[Modality, Float32[np.ndarray, "windows width"]]:
    present = [modality for modality in modalities if modality in dataset.specs]
    blocks = list(_pool_batches(dataset, present))
    return {
        modality: np.concatenate([block.pooled[modality] for block in blocks])
        for modality in present
    }


def _pool(batch: Batch, modality: Modality) -> Float32[np.ndarray, "batch width"]:
    """Take the mean over the valid frames, or over the valid crops in the last layer."""
    if modality == "audio":
        return _mean_of_valid(batch.audio, batch.audio_valid).numpy()
    return _mean_of_valid(batch.face[:, :, -1], batch.face_valid).numpy()


def _mean_of_valid(
    values: Float[Tensor, "batch positions width"], valid: Bool[Tensor, "batch positions"]
) -> Float[Tensor, "batch width"]:
    kept = values.masked_fill(~valid[..., None], 0.0)
    return kept.sum(dim=1) / valid.sum(dim=1, keepdim=True)  # 0 / 0: NaN


def _whiten(pooled: Float32[np.ndarray, "windows width"]) -> Float32[np.ndarray, "width width"]:
    """Return W of the shrunk covariance, which is that of standardised dimensions."""
    from sklearn.covariance import LedoitWolf  # only fitting needs it

    scale = pooled.std(axis=0, dtype=np.float64)
    scale = np.maximum(scale, SMALLEST_SCALE * scale.mean() or 1.0)
    fitted = LedoitWolf(store_precision=False).fit((pooled - pooled.mean(axis=0)) / scale)
    values, vectors = np.linalg.eigh(fitted.covariance_)
    smallest = np.finfo(np.float32).eps * max(values[-1], 1.0)
    # eigenvalue, width -> a row for each direction, in which the windows have variance 1
    whitening = vectors.T / np.sqrt(np.maximum(values, smallest))[:, None] / scale
    return np.ascontiguousarray(whitening, np.float32)


def _spread(number: int, most: int) -> Int64[np.ndarray, " chosen"]:
    """Return the places of at most so many of a number of windows, evenly spread."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(np.int64))
