"""Predictions of several heads -> which differences between their scores are beyond chance.

Two heads are compared on the clips that both predict, by one bootstrap: a resample draws speakers,
and both heads are scored on the same ones. So what is easy or hard about a speaker is the same for
both. Several comparisons together are corrected by Holm's method.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Final, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from oragen.reporting.bootstrap import INTERVAL, Measure
from oragen.reporting.estimates import Estimate, subtract
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.row_scores import WHOLE, estimate_score, value_classes

SIGNIFICANCE: Final = 0.05  # of all pairs together
Pair = tuple[str, str]
Key = TypeVar("Key")


class Difference(NamedTuple):
    """How much higher the score of the first of two heads is, on the clips that both predict."""

    value: float  # mean over the seeds
    low: float  # of the 95 % interval, not corrected
    high: float
    p_value: float | None  # corrected for all pairs; None: too few speakers to be tested
    clips: int
    speakers: int

    @property
    def holds(self) -> bool:
        """Whether it is beyond chance."""
        return self.p_value is not None and self.p_value < SIGNIFICANCE

    def turned(self) -> "Difference":
        """Return the difference of the second from the first."""
        return self._replace(value=0 - self.value, low=0 - self.high, high=0 - self.low)


def compare_pairs(
    rows: Mapping[str, ResampledRows], measure: Measure, min_speakers: int = 1
) -> dict[Pair, Difference]:
    """Compare every two heads by one score; see `estimate_pairs` and `decide_differences`."""
    return decide_differences(estimate_pairs(rows, measure), min_speakers)


def estimate_pairs(rows: Mapping[str, ResampledRows], measure: Measure) -> dict[Pair, Estimate]:
    """Subtract the scores of every two heads, in all and in each resample.

    Args:
        rows: of each head from one set of modalities; all have the same resamples.
        measure: of the score.

    Returns:
        the first minus the second of each pair of heads in their order. A pair without common
        clips, with one speaker, or for UAR with one class, is not there.
    """
    values = {head: value_classes(of_head, measure) for head, of_head in rows.items()}
    num_clips = max((1 + int(of_head.clips.max()) for of_head in rows.values()), default=0)
    scored = {
        head: np.bincount(rows[head].clips[~np.isnan(by_class[WHOLE])], minlength=num_clips) > 0
        for head, by_class in values.items()
    }

    @cache  # most pairs have the same clips
    def estimate(head: str, common: bytes) -> Estimate | None:
        members = np.frombuffer(common, bool)[rows[head].clips]
        return estimate_score(rows[head], values[head], members)

    found = {}
    for first, second in combinations(rows, 2):
        common = (scored[first] & scored[second]).tobytes()
        one, other = estimate(first, common), estimate(second, common)
        if one is not None and other is not None and one.speakers > 1:
            found[first, second] = subtract(one, other)
    return found


def decide_differences(
    estimates: Mapping[Key, Estimate], min_speakers: int = 1
) -> dict[Key, Difference]:
    """Decide which differences are beyond chance, and correct for their number.

    Args:
        estimates: of differences.
        min_speakers: with fewer, in any class, a difference is not tested.
    """
    tested = [key for key, found in estimates.items() if found.least_speakers >= min_speakers]
    raw = [find_p_value(estimates[key].means, estimates[key].speakers) for key in tested]
    p_values = dict(zip(tested, correct_by_holm(raw), strict=True))
    differences = {}
    for key, found in estimates.items():
        low, high = np.nanquantile(found.means, INTERVAL).tolist()
        differences[key] = Difference(
            found.value, low, high, p_values.get(key), found.clips, found.speakers
        )
    return differences


def find_p_value(differences: Float[np.ndarray, " resamples"], num_speakers: int) -> float:
    """Return how often chance alone gives such differences: two-sided, from 0 to 1.

    Twice the smaller share of the resamples on either side of 0. The 1 that is added keeps it above
    0: Davison & Hinkley 1997, "Bootstrap Methods and their Application", equation 4.11. Few
    speakers who are all alike leave no resample on one side. So it is at least 2 ** (1 - speakers),
    the least of a sign test: all differ in one direction. A resample without any of the clips
    (NaN) counts for both sides.
    """
    smaller = min((~(differences > 0)).sum(), (~(differences < 0)).sum())
    share = 2 * (1 + int(smaller)) / (1 + len(differences))
    return min(1.0, max(share, 2.0 ** (1 - num_speakers)))


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number.

    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6: some difference of none is taken for real in at most 5 of 100 such tables.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    rising = np.maximum.accumulate(np.asarray(p_values, float)[order] * factors)
    corrected = np.empty(len(p_values))
    corrected[order] = rising.clip(max=1)
    return [float(p_value) for p_value in corrected]


def count_needed_resamples(num_pairs: int) -> int:
    """Return with how many resamples the smallest corrected p value is below `SIGNIFICANCE`."""
    return round(2 * num_pairs / SIGNIFICANCE)
