"""Scores of all heads -> one head by length of speech, SNR, face size, sharpness, crops."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from oragen.reporting.group_estimates import estimate_groups
from oragen.reporting.groupings import Group
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import ReportTable
from oragen.reporting.tables.group_scores import COLUMNS, list_scores

SECTION: Final = "Quality of the clips"
TITLES: Final = {
    "speech_s": "length of speech, s",
    "snr_db": "estimated SNR, dB",
    "face_px": "side of the face, px",
    "sharpness": "sharpness of crops",
    "num_crops": "number of crops",
}
NUM_BINS: Final = 4
MIN_DIGITS: Final = 3
MAX_DIGITS: Final = 17  # of a float64
NOTE: Final = (
    "Whether errors come from what the head had to work with. Each line has about a quarter of the "
    "clips, where values allow, from the least to the most; a clip without it is not there. "
    "docs/report.md says how each is measured."
)


def compare_quality(scores: HeadScores, head: str) -> ReportTable | None:
    """Show how the errors of one head depend on what it had to work with; None: not measured."""
    rows = scores.widest_rows(head)
    quarters = [
        quarter
        for name in TITLES
        if name in rows.table
        for quarter in cut_quarters(rows.table, name)
    ]
    if not quarters:
        return None
    lines = list_scores(rows, estimate_groups(rows, quarters), scores.min_speakers)
    title = f"{head} by what it had to work with"
    return ReportTable("quality", title, NOTE, COLUMNS, lines, SECTION)


def cut_quarters(table: pd.DataFrame, name: str) -> list[Group]:
    """Return the quarters of the clips by a measure, named by their least and greatest value.

    Clips of one value are in one quarter. If all have the same there is nothing to compare.
    """
    of_clips = table.drop_duplicates("clip_id")[name].dropna()
    if of_clips.nunique() < 2:
        return []
    edges = pd.qcut(of_clips, NUM_BINS, retbins=True, duplicates="drop")[1]
    if len(edges) < 3:
        return []  # nearly all have the same
    quarters = pd.cut(table[name], edges, labels=False, include_lowest=True)
    ends = table[name].groupby(quarters).agg(["min", "max"]).astype(float)
    names = _name_ranges(list(ends.itertuples(index=False, name=None)))
    return [
        Group(TITLES[name], title, (quarters == quarter).to_numpy(bool))
        for quarter, title in zip(ends.index, names, strict=True)
    ]


def _name_ranges(ends: Sequence[tuple[float, float]]) -> list[str]:
    """Write each range with as few digits as tell all of them apart, at least three."""
    for digits in range(MIN_DIGITS, MAX_DIGITS + 1):
        texts = [(f"{low:.{digits}g}", f"{high:.{digits}g}") for low, high in ends]
        names = [low if low == high else f"{low} to {high}" for low, high in texts]
        if len({*names}) == len(names):
            break
    return names
