"""Scores of all heads -> how often intervals and sets hold the truth, and how wide they are."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool

from oragen.reporting.coverage import (
    COVERAGE_MEASURES,
    Coverage,
    CoverageMeasure,
    find_coverage,
    find_level,
)
from oragen.reporting.estimates import to_cell
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.scores import OVERALL, HeadScores, Method, find_in_scope
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    Cell,
    Column,
    Label,
    ReportTable,
    Row,
)
from oragen.reporting.tables.rows import MODALITY_SET_NAMES
from oragen.schema.ages import BANDS, band_ages
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, MASK_TYPES

BELOW: Final = "below"
UNITS: Final[dict[CoverageMeasure, str]] = {
    "age_fixed_coverage": "years", "age_interval_coverage": "years",
    "gender_set_coverage": "labels", "mask_type_set_coverage": "labels",
}  # fmt: skip
CALIBRATED_HERE: Final = "this corpus"
CALIBRATED_ELSEWHERE: Final = "other corpora"


class _Covered(NamedTuple):
    """The rows of one head, and of each whether its intervals and sets hold the truth."""

    rows: ResampledRows
    found: dict[CoverageMeasure, Coverage]
    level: float  # that is promised


class _Group(NamedTuple):
    """Some rows of one head, and what they have in common."""

    labels: dict[str, Label]
    covered: _Covered
    members: Bool[np.ndarray, " rows"]


def compare_coverage(scores: HeadScores, head: str) -> list[ReportTable]:
    """Show whether the intervals and sets of dev hold for the scored clips; none without any.

    The first table has all heads over all corpora, and one head by corpus; the second has this head
    by what a clip is predicted from, mask type, gender and age.
    """
    tables = [_compare_methods(scores, head), _compare_groups(scores, head)]
    return [table for table in tables if table is not None]


def _compare_methods(scores: HeadScores, head: str) -> ReportTable | None:
    [closer] = [method for method in scores.methods if method.head == head]
    *corpora, whole = scores.scopes
    covered = {
        method.head: _find_covered(scores.widest_rows(method.head)) for method in scores.methods
    }
    places = [(whole, method) for method in scores.methods]
    places += [(corpus, closer) for corpus in corpora]
    groups = [
        _Group(
            {
                "corpus": scope,
                "method": method.head,
                "calibrated_on": _calibrated_on(scope, method),
            },
            covered[method.head],
            find_in_scope(covered[method.head].rows.table, scope),
        )
        for scope, method in places
    ]
    return _to_table(
        scores, groups, "coverage", "Intervals and sets: do they hold the truth?",
        "Calibrated on dev, tested here on other speakers." + _warn_of_others(scores, closer),
    )  # fmt: skip


def _warn_of_others(scores: HeadScores, method: Method) -> str:
    """Name the corpora that did not calibrate a head; nothing where all did."""
    corpora = [scope for scope in scores.scopes if scope != OVERALL]
    others = [name for name in corpora if _calibrated_on(name, method) == CALIBRATED_ELSEWHERE]
    if not others:
        return ""
    return (
        f" {method.head} was calibrated on {method.trained_on} and not on {', '.join(others)}: "
        "there the promise does not hold, and the share is what was found."
    )


def _compare_groups(scores: HeadScores, head: str) -> ReportTable | None:
    return _to_table(
        scores, list(_list_groups(scores, head)),
        "coverage_groups", f"Intervals and sets of {head} by group",
        "The level is promised by what a clip is predicted from and by its predicted mask type, "
        "where dev has enough such clips. By the true mask type, gender and age it is not.",
    )  # fmt: skip


def _list_groups(scores: HeadScores, head: str) -> Iterator[_Group]:
    for modalities in scores.modality_sets(head):
        covered = _find_covered(scores.resampled_rows(head, modalities))
        if "modalities_used" in covered.rows.table:
            used = covered.rows.table["modalities_used"] == modalities
            labels: dict[str, Label] = {
                "by": "predicted from", "group": MODALITY_SET_NAMES[modalities]
            }  # fmt: skip
            yield _Group(labels, covered, used.to_numpy(bool))
    widest = _find_covered(scores.widest_rows(head))
    table = widest.rows.table
    kinds: dict[str, tuple[pd.Series, Sequence[str]]] = {
        "mask type": (table["mask_type"], MASK_TYPES),
        "gender": (table["gender"], GENDERS_WITH_CHILD),
        "age": (band_ages(table["age_years"]), BANDS),
    }
    if "predicted_mask_type" in table:
        kinds = {"predicted mask type": (table["predicted_mask_type"], MASK_TYPES)} | kinds
    for kind, (values, names) in kinds.items():
        for name in names:
            yield _Group({"by": kind, "group": name}, widest, (values == name).to_numpy(bool))


def _find_covered(rows: ResampledRows) -> _Covered:
    found = {name: find_coverage(rows.table, name) for name in COVERAGE_MEASURES}
    return _Covered(rows, found, find_level(rows.table))


def _calibrated_on(scope: str, method: Method) -> str:
    """Say whether dev clips of a corpus calibrated a head: those of what it was trained on did."""
    if scope == OVERALL:
        return method.trained_on
    return CALIBRATED_HERE if scope in method.trained_on.split(", ") else CALIBRATED_ELSEWHERE


def _to_table(
    scores: HeadScores, groups: Sequence[_Group], name: str, title: str, note: str
) -> ReportTable | None:
    """Make a row of each group that has an interval or a set; None if none has."""
    rows = []
    for labels, covered, members in groups:
        cells = _score(covered, members, scores.min_speakers)
        if any(cell.clips for cell in cells):
            sizes: dict[str, Label] = {
                "clips_in_all": covered.rows.count_clips(members),
                "speakers_in_all": covered.rows.count_speakers(members),
            }
            rows.append(Row(labels | sizes, cells))
    if not rows:
        return None
    levels = " or ".join(sorted({f"{group.covered.level:.0%}" for group in groups}))
    promise = (
        f"Promised: {levels}. In parentheses: the mean size, and `{BELOW}` where the whole "
        "bootstrap interval is below the promise. "
    )
    columns = [Column(measure, PRESENTATIONS[measure].title) for measure in COVERAGE_MEASURES]
    return ReportTable(name, title, promise + note, columns, rows)


def _score(covered: _Covered, members: Bool[np.ndarray, " rows"], min_speakers: int) -> list[Cell]:
    """Return the share of clips whose truth is held by each, marked with the mean size."""
    holds = {name: found.holds.to_numpy(float) for name, found in covered.found.items()}
    cells = []
    for measure, estimate in covered.rows.average(holds, members).items():
        cell = to_cell(measure, estimate, min_speakers=min_speakers)
        if cell.value is not None:
            size = float(covered.found[measure].size[members].mean())
            is_below = cell.high is not None and cell.high < covered.level
            mark = f"{size:.1f} {UNITS[measure]}" + (f", {BELOW}" if is_below else "")
            cell = cell._replace(mark=mark)
        cells.append(cell._replace(clips_in_all=covered.rows.count_clips(members)))
    return cells
