"""Scores of all heads -> how often intervals and sets hold the truth, and how wide they are."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pandas as pd

from oragen.reporting.coverage import (
    COVERAGE_MEASURES,
    CoverageMeasure,
    add_coverage,
    find_level,
)
from oragen.reporting.scores import OVERALL, HeadScores, Method, count_clips
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    Cell,
    Column,
    Label,
    ReportTable,
    Row,
    withhold_small,
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


class _Group(NamedTuple):
    """Some predictions of one head, see `add_coverage`, and what they have in common."""

    labels: dict[str, Label]
    predictions: pd.DataFrame
    level: float


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
    places = [(whole, method) for method in scores.methods]
    places += [(corpus, closer) for corpus in corpora]
    groups = [
        _Group(
            {
                "corpus": scope,
                "method": method.head,
                "calibrated_on": _calibrated_on(scope, method),
            },
            add_coverage(predictions := scores.predictions(method.head, method.modalities, scope)),
            find_level(predictions),
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
    widest = scores.widest_predictions(head)
    level, covered = find_level(widest), add_coverage(widest)
    for modalities in scores.modality_sets(head):
        predictions = scores.predictions(head, modalities)
        if "modalities_used" in predictions:
            used = predictions[predictions["modalities_used"] == modalities]
            labels: dict[str, Label] = {
                "by": "predicted from", "group": MODALITY_SET_NAMES[modalities]
            }  # fmt: skip
            yield _Group(labels, add_coverage(used), level)
    kinds: dict[str, tuple[pd.Series, Sequence[str]]] = {
        "mask type": (widest["mask_type"], MASK_TYPES),
        "gender": (widest["gender"], GENDERS_WITH_CHILD),
        "age": (band_ages(widest["age_years"]), BANDS),
    }
    if "predicted_mask_type" in widest:
        kinds = {"predicted mask type": (widest["predicted_mask_type"], MASK_TYPES)} | kinds
    for kind, (values, names) in kinds.items():
        for name in names:
            yield _Group({"by": kind, "group": name}, covered[values == name], level)


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
    for labels, predictions, level in groups:
        cells = [_score(scores, predictions, measure, level) for measure in COVERAGE_MEASURES]
        if any(cell.clips for cell in cells):
            counts = count_clips(predictions)
            sizes: dict[str, Label] = {
                "clips_in_all": counts.clips_in_all, "speakers_in_all": counts.speakers_in_all
            }  # fmt: skip
            rows.append(Row(labels | sizes, cells))
    if not rows:
        return None
    levels = " or ".join(sorted({f"{group.level:.0%}" for group in groups}))
    promise = (
        f"Promised: {levels}. In parentheses: the mean size, and `{BELOW}` where the whole "
        "bootstrap interval is below the promise. "
    )
    columns = [Column(measure, PRESENTATIONS[measure].title) for measure in COVERAGE_MEASURES]
    return ReportTable(name, title, promise + note, columns, rows)


def _score(
    scores: HeadScores, predictions: pd.DataFrame, measure: CoverageMeasure, level: float
) -> Cell:
    """Return the share of clips whose truth is held, marked with the mean size."""
    cell = withhold_small(scores.score(predictions, measure), scores.min_speakers)
    if cell.value is None:
        return cell
    mark = f"{predictions[f'{measure}_size'].mean():.1f} {UNITS[measure]}"
    if cell.high is not None and cell.high < level:
        mark += f", {BELOW}"
    return cell._replace(mark=mark)
