"""A statistic of each seed and resample -> what is made of several, and a cell with its interval.

All estimates of one set of rows have the same resamples, so they can be averaged and compared
resample by resample.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from oragen.reporting.bootstrap import INTERVAL, mean_of_known
from oragen.reporting.table_formats import TOO_SMALL, Cell, CellMeasure


class Estimate(NamedTuple):
    """A statistic over some clips; NaN where it has no clip."""

    of_seeds: Float[np.ndarray, " seeds"]
    resampled: Float[np.ndarray, "resamples seeds"]
    clips: int
    speakers: int
    least_speakers: int  # of the smallest part that it is an average of

    def transform(self, function: Callable[[np.ndarray], np.ndarray]) -> "Estimate":
        """Apply a function, such as a root, to each seed and resample."""
        return self._replace(of_seeds=function(self.of_seeds), resampled=function(self.resampled))

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return float(mean_of_known(self.of_seeds))

    @property
    def means(self) -> Float[np.ndarray, " resamples"]:
        """The mean over the seeds in each resample."""
        return mean_of_known(self.resampled)


def average_parts(parts: Sequence[Estimate], whole: Estimate) -> Estimate:
    """Average estimates unweighted, such as the recalls of classes (UAR) or the MAE of bands.

    A part of which a seed or a resample has no clip does not count in its mean.

    Args:
        parts: at least one.
        whole: of all their clips, for the counts.
    """
    return Estimate(
        # parts, seeds -> seeds
        mean_of_known(np.stack([part.of_seeds for part in parts], axis=-1)),
        # resamples, seeds, parts -> resamples, seeds
        mean_of_known(np.stack([part.resampled for part in parts], axis=-1)),
        whole.clips,
        whole.speakers,
        min(part.least_speakers for part in parts),
    )


def subtract(one: Estimate, other: Estimate) -> Estimate:
    """Return one mean over the seeds minus another, in all and in each resample.

    Two heads can have different seeds. What they are counted by must be the same.
    """
    return one._replace(
        of_seeds=np.array([one.value - other.value]),
        # resamples -> resamples, one seed
        resampled=(one.means - other.means)[:, None],
        least_speakers=min(one.least_speakers, other.least_speakers),
    )


def to_cell(
    measure: CellMeasure,
    estimate: Estimate | None,
    *,
    min_speakers: int,
    clips_in_all: int | None = None,
) -> Cell:
    """Return the mean over the seeds and its 95 % interval; of few speakers only their number.

    Args:
        measure: how people read it.
        estimate: of the clips; None: there is nothing to score.
        min_speakers: with fewer, in any of its parts, the cell is too small to show a score.
        clips_in_all: also those without a prediction; None: there is no other.
    """
    if estimate is None:
        return Cell(measure, None, clips_in_all=clips_in_all)
    in_all = estimate.clips if clips_in_all is None else clips_in_all
    empty = Cell(
        measure, None, clips=estimate.clips, clips_in_all=in_all, speakers=estimate.speakers
    )
    if not estimate.clips:
        return empty
    if estimate.least_speakers < min_speakers:
        return empty._replace(mark=TOO_SMALL)
    low, high = find_interval(estimate.means) if estimate.speakers > 1 else (None, None)
    seeds = estimate.of_seeds[~np.isnan(estimate.of_seeds)]
    spread = float(seeds.std(ddof=1)) if len(seeds) > 1 else None
    return empty._replace(value=estimate.value, low=low, high=high, std_over_seeds=spread)


def find_interval(
    resampled: Float[np.ndarray, " resamples"],
) -> tuple[float | None, float | None]:
    """Return the 95 % percentile interval; None where a resample has no finite number."""
    known = resampled[~np.isnan(resampled)]
    if not len(known) or not np.isfinite(known).all():
        return None, None
    low, high = np.quantile(known, INTERVAL).tolist()
    return low, high
