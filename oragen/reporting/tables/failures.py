"""Scores of all heads -> the share of clips without a usable voice or face, by group."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from oragen.reporting.estimates import Estimate, to_cell
from oragen.reporting.groupings import Group, list_groups
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import Column, Label, ReportTable, Row
from oragen.schema.vocabulary import ModalitySet

SECTION: Final = "Failure to process"
TITLES: Final[dict[ModalitySet, str]] = {
    "audio": "No usable voice %", "face": "No usable face %", "audio_visual": "Neither %",
}  # fmt: skip
NOTE: Final = (
    "Of 100 clips of a group, how many have no window with a usable voice or face, so that nothing "
    "is predicted of them. These clips are in no score below."
)


def count_failures(scores: HeadScores, further: Sequence[str] = ()) -> ReportTable:
    """Show the failures to process by corpus, gender, age band, mask type and further columns.

    A column of a set of modalities that no head takes is left out.
    """
    attributes = list(dict.fromkeys(["corpus", *further]))
    columns, by_group = [], dict[tuple[str, str], dict[str, Estimate]]()
    for modalities, title in TITLES.items():
        head = next((h for h in scores.heads if modalities in scores.modality_sets(h)), None)
        if head is None:
            continue
        columns.append(Column(modalities, title))
        rows = scores.resampled_rows(head, modalities)
        one_seed = (rows.table["seed"] == rows.table["seed"].min()).to_numpy()  # all are alike
        failed = np.where(one_seed, rows.table["num_windows"] == 0, np.nan)
        groups = [_take_all(len(failed)), *list_groups(rows.table, attributes)]
        values = [np.where(group.rows, failed, np.nan) for group in groups]
        estimates = rows.average({str(place): value for place, value in enumerate(values)})
        for group, estimate in zip(groups, estimates.values(), strict=True):
            by_group.setdefault((group.attribute, group.name), {})[modalities] = estimate
    lines = [
        _make_row(*group, [of_group[column.name] for column in columns], scores)
        for group, of_group in by_group.items()
    ]
    title = "Clips of which nothing can be predicted"
    return ReportTable("failures", title, NOTE, columns, lines, SECTION)


def _take_all(num_rows: int) -> Group:
    return Group("", "all clips", np.ones(num_rows, bool))


def _make_row(attribute: str, name: str, estimates: Sequence[Estimate], scores: HeadScores) -> Row:
    first = estimates[0]
    labels: dict[str, Label] = {
        "group": name, "by": attribute,
        "clips_in_all": first.clips, "speakers_in_all": first.speakers,
    }  # fmt: skip
    cells = [
        to_cell("failure_rate", estimate, min_speakers=scores.min_speakers)
        for estimate in estimates
    ]
    return Row(labels, cells)
