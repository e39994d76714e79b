"""Scores of one head -> its error rates at age thresholds, where one passes from a higher age.

A challenge age, such as 25 for a law of 18, lets those pass who are predicted that old. All others
are asked for a document. The buffer is the difference of both ages.
"""

from collections.abc import Sequence
from typing import NamedTuple

from oragen.reporting.age_decisions import challenge, find_sides
from oragen.reporting.estimates import Estimate
from oragen.reporting.scores import HeadScores


class ChallengeRates(NamedTuple):
    """Both rates at a threshold, for each buffer."""

    threshold_years: int
    buffers_years: Sequence[int]
    false_positives: list[Estimate]  # people under the threshold who pass
    false_negatives: list[Estimate]  # people of age who do not


def measure_challenges(
    scores: HeadScores, head: str, thresholds_years: Sequence[int], buffers_years: Sequence[int]
) -> list[ChallengeRates]:
    """Measure both rates of one head, from the widest modalities it takes.

    Args:
        scores: of the heads.
        head: which one.
        thresholds_years: with clips of known age on both sides.
        buffers_years: what is added to a threshold.
    """
    rows = scores.widest_rows(head)
    measured = []
    for threshold in thresholds_years:
        sides = find_sides(rows.table, threshold)
        values = {}
        for buffer in buffers_years:
            values[f"fpr {buffer}"], values[f"fnr {buffer}"] = challenge(
                rows.table, threshold + buffer, sides
            )
        found = rows.average(values)
        measured.append(
            ChallengeRates(
                threshold, buffers_years,
                [found[f"fpr {buffer}"] for buffer in buffers_years],
                [found[f"fnr {buffer}"] for buffer in buffers_years],
            )
        )  # fmt: skip
    return measured
