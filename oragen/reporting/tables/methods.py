"""Scores of all heads -> methods compared by corpus, ours below what others published."""

from collections.abc import Mapping, Sequence
from typing import Final

from oragen.reporting.bootstrap import Measure
from oragen.reporting.published_results import PUBLISHED, PublishedScore, find_published
from oragen.reporting.scores import HeadScores, Method
from oragen.reporting.table_formats import PRESENTATIONS, Cell, ReportTable, Row
from oragen.reporting.tables.rows import (
    MEASURED_HERE,
    MEASURES,
    corpus_column,
    drop_equal_labels,
    has_age_bands,
    has_score,
    label_method,
)
from oragen.reporting.tables.usual_labels import UsualLabels, compare_usual

OTHER_SPLIT: Final = "other split"
READINGS: Final = {
    "gender": "The higher, the better: the mean of the recalls of women and men, by corpus.",
    "age": "The lower, the better: how many years the predicted age is off in the mean, by corpus.",
    "mask_type": "The higher, the better: the mean of the recalls of the mask types, by corpus.",
}
Places = Sequence[tuple[str, Measure]]  # corpus or all of them, and what is scored there


def compare_methods(
    scores: HeadScores, readers: Mapping[str, str], usual: UsualLabels | None = None
) -> list[ReportTable]:
    """Compare heads from the widest modalities each takes, by corpus: gender, age, mask type.

    Above them is what others published for the same corpus and split. A number of another split of
    that name is marked. A task without any score has no table.

    Args:
        scores: of the heads.
        readers: of each corpus.
        usual: labels that the heads are compared with, said of every clip; None: no such row.
    """
    tables = [
        _compare(scores, readers, usual, task, measures) for task, measures in MEASURES.items()
    ]
    return [table for table in tables if table is not None]


def _compare(
    scores: HeadScores,
    readers: Mapping[str, str],
    usual: UsualLabels | None,
    task: str,
    measures: Sequence[Measure],
) -> ReportTable | None:
    places = [
        (scope, measure)
        for scope in scores.scopes
        for measure in measures
        if measure != "age_interval_error_years" or has_age_bands(scores.clips_of(scope))
    ]
    ours = [
        Row(
            label_method(method) | {"source": MEASURED_HERE},
            [scores.cell(method.head, method.modalities, *place) for place in places],
        )
        for method in scores.methods
    ]
    if not has_score(ours):
        return None
    published = _find_published(scores, readers, places)
    rows = drop_equal_labels([*_published_rows(published, places), *ours])
    if usual is not None:
        names = list(rows[-1].labels)
        rows.insert(len(rows) - len(ours), compare_usual(scores, usual, places, names))
    titles = dict.fromkeys(PRESENTATIONS[measure].title for _, measure in places)
    return ReportTable(
        f"methods_{task}", f"Methods: {' and '.join(titles)}",
        " ".join([READINGS[task], *_describe(published)]),
        [corpus_column(scores, *place) for place in places],
        rows,
    )  # fmt: skip


def _find_published(
    scores: HeadScores, readers: Mapping[str, str], places: Places
) -> dict[str, dict[int, PublishedScore]]:
    """Return what is published by each method, in its order, by the number of the column."""
    found: dict[str, dict[int, PublishedScore]] = {}
    for column, (scope, measure) in enumerate(places):
        splits = scores.clips_of(scope)["split"].unique()
        if scope in readers and len(splits) == 1:
            for score in find_published(readers[scope], splits[0], measure):
                found.setdefault(score.method, {})[column] = score
    order = dict.fromkeys(score.method for score in PUBLISHED)
    return {method: found[method] for method in order if method in found}


def _published_rows(
    published: Mapping[str, Mapping[int, PublishedScore]], places: Places
) -> list[Row]:
    rows = []
    for method, by_column in published.items():
        first = next(iter(by_column.values()))
        labels = label_method(Method(method, "", "", ", ".join(first.trained_on), first.modality))
        cells = [Cell(measure, None) for _, measure in places]
        for column, score in by_column.items():
            mark = "" if score.same_split else OTHER_SPLIT
            cells[column] = Cell(score.measure, score.value, mark=mark)
        rows.append(Row(labels | {"source": first.source}, cells))
    return rows


def _describe(published: Mapping[str, Mapping[int, PublishedScore]]) -> list[str]:
    """Return what a reader must know of the published methods, each note once."""
    notes: dict[str, list[str]] = {}
    for method, by_column in published.items():
        if not all(score.same_split for score in by_column.values()):
            notes.setdefault("the corpus is divided in another way", [f"`{OTHER_SPLIT}`"])
        if note := next(iter(by_column.values())).note:
            notes.setdefault(note, []).append(method)
    return [f"{'; '.join(methods)}: {note}." for note, methods in notes.items()]
