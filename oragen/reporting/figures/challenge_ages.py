"""Error rates with a buffer -> curves: how many pass under age, and how many do not of age."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from oragen.reporting.bootstrap import INTERVAL
from oragen.reporting.challenge_rates import ChallengeRates, measure_challenges
from oragen.reporting.estimates import Estimate
from oragen.reporting.figures.canvas import BLUE, VERMILION, count, drawing, write_title
from oragen.reporting.figures.figure import Figure
from oragen.reporting.scores import HeadScores
from oragen.reporting.tables.thresholds import SECTION, find_thresholds

BUFFERS_YEARS: Final = tuple(range(16))
COLUMNS: Final = 3


def draw_challenges(
    folder: Path, scores: HeadScores, head: str, thresholds_years: Sequence[int]
) -> list[Figure]:
    """Draw both error rates of one head by the buffer; nothing where no threshold can be judged.

    Args:
        folder: for the PNG.
        scores: of the heads.
        head: which one; it predicts from the widest modalities it takes.
        thresholds_years: ages of laws.
    """
    thresholds = find_thresholds(scores, thresholds_years)
    if not thresholds:
        return []
    path = folder / "challenge_ages.png"
    rates = measure_challenges(scores, head, thresholds, BUFFERS_YEARS)
    draw_challenge_rates(path, rates, f"Challenge ages, {head}", min_speakers=scores.min_speakers)
    caption = "Both error rates by the buffer above the threshold, with their 95 % intervals."
    return [Figure(path, "Error rates at age thresholds by buffer", caption, SECTION)]


def draw_challenge_rates(
    path: Path, rates: Sequence[ChallengeRates], title: str, *, min_speakers: int
) -> None:
    """Draw a panel for each threshold; a rate of too few speakers is not drawn."""
    num_columns = min(COLUMNS, len(rates))
    num_lines = -(-len(rates) // num_columns)
    with drawing(path, 1.2 + 3.7 * num_columns, 0.8 + 3.4 * num_lines) as figure:
        write_title(figure, title)
        grid = figure.subplots(num_lines, num_columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(rates) :]:
            axes.set_axis_off()
        for axes, of_threshold in zip(grid.flat, rates, strict=False):
            _draw_threshold(axes, of_threshold, min_speakers)
        for axes in grid[:, 0]:
            axes.set_ylabel("share of clips")


def _draw_threshold(axes: Axes, rates: ChallengeRates, min_speakers: int) -> None:
    axes.set(
        title=f"Threshold {rates.threshold_years}", xlabel="buffer, years",
        ylim=(0, 1), xlim=(0, rates.buffers_years[-1]),
    )  # fmt: skip
    axes.set_yticks(np.linspace(0, 1, 6), [f"{share:.0%}" for share in np.linspace(0, 1, 6)])
    axes.grid(True)
    curves = (
        (rates.false_positives, VERMILION, "-", "under age, pass"),
        (rates.false_negatives, BLUE, "--", "of age, do not pass"),
    )
    for estimates, colour, line, name in curves:
        speakers = count(estimates[0].speakers, "speaker")
        if estimates[0].speakers < min_speakers:
            axes.plot([], [], line, color=colour, label=f"{name}: too small ({speakers})")
            continue
        _draw_curve(axes, rates.buffers_years, estimates, colour, line, f"{name} ({speakers})")
    axes.legend(loc="upper right", fontsize=9)


def _draw_curve(
    axes: Axes,
    buffers_years: Sequence[int],
    estimates: Sequence[Estimate],
    colour: str,
    line: str,
    name: str,
) -> None:
    values = [estimate.value for estimate in estimates]
    axes.plot(buffers_years, values, line, color=colour, label=name)
    if estimates[0].speakers > 1:
        edges = np.nanquantile([estimate.means for estimate in estimates], INTERVAL, axis=1)
        axes.fill_between(buffers_years, *edges, color=colour, alpha=0.2, linewidth=0)
