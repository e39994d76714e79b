"""Scores of all heads -> who passes an age threshold by mistake: all heads, and one by group."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool

from oragen.reporting.age_decisions import DECISIONS, Decision, decide, find_sides
from oragen.reporting.estimates import Estimate, to_cell
from oragen.reporting.groupings import list_groups
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import Cell, Column, Label, ReportTable, Row, TableMeasure
from oragen.reporting.tables.rows import MODALITY_SET_NAMES

SECTION: Final = "Age thresholds"
MEASURES: Final[Mapping[Decision, TableMeasure]] = {
    "fpr_point": "false_positive_rate", "fnr_point": "false_negative_rate",
    "fpr_lower_end": "false_positive_rate", "fnr_lower_end": "false_negative_rate",
    "referred": "referred_rate",
}  # fmt: skip
COLUMNS: Final = [
    Column("fpr_point", "FPR %, by the predicted age"),
    Column("fnr_point", "FNR %, by the predicted age"),
    Column("fpr_lower_end", "FPR %, by the lower end of the interval"),
    Column("fnr_lower_end", "FNR %, by the lower end of the interval"),
    Column("referred", "Referred onward %, interval holds the threshold"),
]
NOTE: Final = (
    "FPR: of 100 clips of people under the threshold, how many pass as of age; FNR: of 100 clips "
    "of people of age, how many do not pass. Clips of known age only."
)
Members = Bool[np.ndarray, " rows"]


def find_thresholds(scores: HeadScores, thresholds_years: Sequence[int]) -> list[int]:
    """Return the thresholds that there are clips on both sides of, in order."""
    sides = {years: find_sides(scores.clips, years) for years in sorted(thresholds_years)}
    return [years for years, side in sides.items() if side.under.any() and side.of_age.any()]


def compare_thresholds(scores: HeadScores, thresholds_years: Sequence[int]) -> ReportTable | None:
    """Compare all heads at each threshold, from the widest modalities each takes.

    None where no threshold has clips of known age on both sides.
    """
    thresholds = find_thresholds(scores, thresholds_years)
    if not thresholds:
        return None
    blocks = []
    for method in scores.methods:
        decided = _Decided(scores, method.head, method.modalities, thresholds)
        blocks.append(decided.describe({"method": method.head}, decided.everybody))
    return _make_table("age_thresholds", "Heads at age thresholds", thresholds, blocks)


def compare_threshold_groups(
    scores: HeadScores, head: str, thresholds_years: Sequence[int]
) -> ReportTable | None:
    """Show one head at each threshold by modality, gender and mask type.

    None where no threshold has clips of known age on both sides.
    """
    thresholds = find_thresholds(scores, thresholds_years)
    if not thresholds:
        return None
    widest, *others = scores.modality_sets(head)
    decided = _Decided(scores, head, widest, thresholds)
    groups = [group for group in list_groups(decided.rows.table) if group.attribute != "age band"]
    blocks = [decided.describe(_label_set(widest), decided.everybody)]
    blocks += [
        decided.describe({"group": group.name, "by": group.attribute}, group.rows)
        for group in groups
    ]
    for modalities in others:
        decided = _Decided(scores, head, modalities, thresholds)
        blocks.append(decided.describe(_label_set(modalities), decided.everybody))
    title = f"{head} at age thresholds, by group"
    return _make_table("age_thresholds_groups", title, thresholds, blocks)


def _label_set(modalities: str) -> dict[str, Label]:
    return {"group": MODALITY_SET_NAMES[modalities], "by": "modalities"}


def _make_table(
    name: str, title: str, thresholds: Sequence[int], blocks: Sequence[Mapping[int, Row]]
) -> ReportTable:
    rows = [block[years] for years in thresholds for block in blocks]
    return ReportTable(name, title, NOTE, COLUMNS, rows, SECTION)


class _Decided:
    """What a head decides about each row at each threshold."""

    def __init__(
        self, scores: HeadScores, head: str, modalities: str, thresholds: Sequence[int]
    ) -> None:
        self.rows = scores.resampled_rows(head, modalities)
        self.everybody: Members = np.ones(len(self.rows.table), bool)
        self._min_speakers = scores.min_speakers
        self._sides = {years: find_sides(self.rows.table, years) for years in thresholds}
        self._values = {
            f"{years} {name}": value
            for years, sides in self._sides.items()
            for name, value in decide(self.rows.table, years, sides).items()
        }

    def describe(self, labels: dict[str, Label], members: Members) -> dict[int, Row]:
        """Return a row of each threshold for some of the rows."""
        estimates = self.rows.average(self._values, members)
        return {years: self._make_row(years, labels, members, estimates) for years in self._sides}

    def _make_row(
        self,
        years: int,
        labels: dict[str, Label],
        members: Members,
        estimates: Mapping[str, Estimate],
    ) -> Row:
        sides = self._sides[years]
        under, of_age = sides.under & members, sides.of_age & members
        counted = {"fpr": under, "fnr": of_age, "referred": under | of_age}
        cells = []
        for name in DECISIONS:
            in_all = self.rows.count_clips(counted[name.partition("_")[0]])
            found = estimates.get(f"{years} {name}")
            cell = Cell(MEASURES[name], None, clips_in_all=in_all)
            if found is not None:
                cell = to_cell(
                    cell.measure, found, min_speakers=self._min_speakers, clips_in_all=in_all
                )
            cells.append(cell)
        counts: dict[str, Label] = {
            "under": self.rows.describe_counts(under), "of_age": self.rows.describe_counts(of_age)
        }  # fmt: skip
        return Row({"threshold": years, **labels, **counts}, cells)
