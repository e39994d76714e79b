"""The rows of one head -> statistics over their clips, all with the same resampled speakers.

Speakers are drawn among all speakers of the report; a group has those of its own that were drawn.
So all groups and statistics share one set of resamples, and many are computed in one product of
matrices.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Int

from oragen.reporting.estimates import Estimate

MIN_RANKS: Final = 200  # around a quantile, in which the quantiles of the resamples are looked for
TOLERANCE: Final = 1e-9  # of a rank: 0.95 x 20 clips is 19
# Sums and counts, *axes classes -> a number for each of the axes.
Aggregate = Callable[[np.ndarray, np.ndarray], np.ndarray]
Key = TypeVar("Key")


class ResampledRows:
    """The predictions of one head from one set of modalities, and how often speakers are drawn."""

    def __init__(
        self,
        table: pd.DataFrame,
        clips: Int[np.ndarray, " rows"],
        speakers: Int[np.ndarray, " rows"],
        weights: Float32[np.ndarray, "resamples speakers"],
    ) -> None:
        """Number the seeds.

        Args:
            table: a row for each clip and seed.
            clips: the number of each row's clip: sums are added up in this order, so that not a bit
                depends on that of the rows.
            speakers: the number of each row's speaker: its column of the weights.
            weights: how often each speaker is drawn in each resample; whole numbers, which a
                matrix product takes as they are.

        Raises:
            ValueError: two rows have the same clip and seed.
        """
        self.table = table
        self.clips, self._speakers, self._weights = clips, speakers, weights
        self._seeds = pd.factorize(table["seed"], sort=True)[0]
        self._num_seeds = int(self._seeds.max()) + 1
        if np.bincount(clips * self._num_seeds + self._seeds).max() > 1:
            raise ValueError(
                "Each clip and seed must have one row: choose one head and one set of modalities."
            )
        self._order = np.lexsort((self._seeds, clips))
        self._one_class = np.zeros(len(table), np.int8)

    @property
    def num_clips(self) -> int:
        """The number of all clips."""
        return _count_different(self.clips)

    def count_clips(self, rows: Bool[np.ndarray, " rows"]) -> int:
        """Count the clips of some rows."""
        return _count_different(self.clips[rows])

    def count_speakers(self, rows: Bool[np.ndarray, " rows"]) -> int:
        """Count the speakers of some rows."""
        return _count_different(self._speakers[rows])

    def describe_counts(self, rows: Bool[np.ndarray, " rows"]) -> str:
        """Write such as `25 clips, 10 speakers`."""
        return f"{self.count_clips(rows)} clips, {self.count_speakers(rows)} speakers"

    def average(
        self,
        values: Mapping[Key, Float[np.ndarray, " rows"]],
        rows: Bool[np.ndarray, " rows"] | None = None,
    ) -> dict[Key, Estimate]:
        """Average several values over the clips, each in each seed and resample.

        Args:
            values: name -> a number for each row; NaN is not counted.
            rows: of a group; None: all.
        """
        known = {name: ~np.isnan(value) for name, value in values.items()}
        if rows is not None:
            known = {name: of_value & rows for name, of_value in known.items()}
        masks = {mask.tobytes(): mask for mask in known.values()}  # many values share one
        used = np.logical_or.reduce(list(masks.values()))
        sums = [np.where(known[name], value, 0.0) for name, value in values.items()]
        numbers = [mask.astype(float) for mask in masks.values()]
        of_seeds, resampled = (
            found[..., 0, :] for found in self._add_up([*sums, *numbers], used, self._one_class)
        )
        counts = {
            key: (len(sums) + place, self.count_clips(mask), self.count_speakers(mask))
            for place, (key, mask) in enumerate(masks.items())
        }
        estimates = {}
        for column, name in enumerate(values):
            number, clips, speakers = counts[known[name].tobytes()]
            means = divide(of_seeds[:, column], of_seeds[:, number])
            drawn = divide(resampled[:, :, column], resampled[:, :, number])
            estimates[name] = Estimate(means, drawn, clips, speakers, speakers)
        return estimates

    def aggregate(
        self,
        values: Float[np.ndarray, " rows"],
        classes: Int[np.ndarray, " rows"],
        function: Aggregate,
    ) -> Estimate:
        """Make one number of the sums and counts of several classes, in each seed and resample.

        Args:
            values: of each row; NaN is not counted.
            classes: of each row, from 0.
            function: sums and counts of the values, whose last axis is that of the classes -> a
                number for each of the other axes.
        """
        known = ~np.isnan(values)
        columns = [np.where(known, values, 0.0), known.astype(float)]
        of_seeds, resampled = self._add_up(columns, known, classes)
        clips, speakers = self.count_clips(known), self.count_speakers(known)
        return Estimate(
            # seeds, classes, 2 -> twice seeds, classes -> seeds; the same of each resample
            function(of_seeds[..., 0], of_seeds[..., 1]),
            function(resampled[..., 0], resampled[..., 1]),
            clips,
            speakers,
            speakers,
        )

    def find_quantiles(
        self, values: Float[np.ndarray, " rows"], shares: Sequence[float]
    ) -> list[Estimate]:
        """Return quantiles: the smallest value that so many of the clips do not exceed.

        This is the inverse of the empirical distribution (Hyndman and Fan 1996, definition 1,
        doi 10.2307/2684934).

        Args:
            values: of each row; NaN is not counted.
            shares: from 0 to 1.
        """
        known = ~np.isnan(values)
        everybody = np.ones((1, self._weights.shape[1]), np.float32)
        drawn = np.concatenate([everybody, self._weights])
        found = np.full((len(shares), len(drawn), self._num_seeds), np.nan)
        for seed in range(self._num_seeds):
            chosen = np.flatnonzero(known & (self._seeds == seed))
            if not len(chosen):
                continue
            ordered = chosen[np.argsort(values[chosen], kind="stable")]
            for place, share in enumerate(shares):
                found[place, :, seed] = _find_quantile(
                    values[ordered], self._speakers[ordered], drawn, share
                )
        clips, speakers = self.count_clips(known), self.count_speakers(known)
        return [
            Estimate(of_share[0], of_share[1:], clips, speakers, speakers) for of_share in found
        ]

    def _add_up(
        self,
        columns: Sequence[Float[np.ndarray, " rows"]],
        used: Bool[np.ndarray, " rows"],
        classes: Int[np.ndarray, " rows"],
    ) -> tuple[
        Float[np.ndarray, "seeds classes columns"],
        Float[np.ndarray, "resamples seeds classes columns"],
    ]:
        """Return the sums of columns by class, over all speakers and over the drawn ones."""
        order = self._order[used[self._order]]
        num_speakers = self._weights.shape[1]
        shape = num_speakers, self._num_seeds, int(classes.max()) + 1
        codes = self._speakers[order], self._seeds[order], classes[order]
        cells, size = np.ravel_multi_index(codes, shape), int(np.prod(shape))
        summed = [np.bincount(cells, column[order], minlength=size) for column in columns]
        # columns, speakers * seeds * classes -> speakers, seeds, classes, columns
        by_speaker = np.stack(summed, axis=-1).reshape(*shape, len(columns)).astype(float)
        drawn = self._weights @ by_speaker.reshape(num_speakers, -1).astype(np.float32)
        # resamples, seeds * classes * columns -> resamples, seeds, classes, columns
        resampled = drawn.reshape(-1, *by_speaker.shape[1:]).astype(float)
        return by_speaker.sum(axis=0), resampled


def _count_different(codes: Int[np.ndarray, " rows"]) -> int:
    return int(np.count_nonzero(np.bincount(codes)))


def divide(
    sums: Float[np.ndarray, "*shape"], numbers: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Divide sums by numbers; NaN where a number is 0."""
    means = np.full_like(sums, np.nan)
    np.divide(sums, numbers, out=means, where=numbers > 0)
    return means


def _find_quantile(
    values: Float[np.ndarray, " clips"],
    speakers: Int[np.ndarray, " clips"],
    drawn: Float32[np.ndarray, "resamples speakers"],
    share: float,
) -> Float[np.ndarray, " resamples"]:
    """Return the quantile of the clips of each resample; NaN where it has none.

    It is looked for among the ranks around that of all clips, which are widened as long as a
    resample has its quantile outside of them.

    Args:
        values: of the clips of one seed, ascending.
        speakers: of these clips.
        drawn: how often each speaker is drawn in each resample.
        share: from 0 to 1.
    """
    totals = _count_drawn(speakers, drawn)
    wanted = share * totals - TOLERANCE
    middle, reach = round(share * len(values)), max(MIN_RANKS, len(values) // 40)
    while True:
        first, last = max(0, middle - reach), min(len(values), middle + reach)
        below = _count_drawn(speakers[:first], drawn)
        # resamples, ranks: how many clips of a resample are at or below each rank
        counts = below[:, None] + np.cumsum(drawn[:, speakers[first:last]], axis=1)
        is_found = (counts[:, -1] >= wanted) & ((below < wanted) | (first == 0))
        is_found |= totals == 0
        if is_found.all() or last - first == len(values):
            places = first + np.argmax(counts >= np.maximum(wanted, TOLERANCE)[:, None], axis=1)
            return np.where(totals > 0, values[places], np.nan)
        reach *= 2


def _count_drawn(
    speakers: Int[np.ndarray, " clips"], drawn: Float32[np.ndarray, "resamples speakers"]
) -> Float[np.ndarray, " resamples"]:
    """Count the clips of each resample."""
    clips = np.bincount(speakers, minlength=drawn.shape[1])
    return (drawn @ clips.astype(np.float32)).astype(float)
