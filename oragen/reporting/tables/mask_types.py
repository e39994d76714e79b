"""Scores of all heads -> one head by mask type, beside what is published of the same clips."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from oragen.reporting.bootstrap import Measure
from oragen.reporting.published_results import ORAGEN, find_mask_influence
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    Cell,
    Column,
    Label,
    ReportTable,
    Row,
)
from oragen.reporting.tables.rows import (
    MEASURED_HERE,
    MODALITY_SET_NAMES,
    drop_equal_labels,
    name_with_counts,
)
from oragen.schema.vocabulary import MASK_TYPES

MEASURES: Final[tuple[Measure, ...]] = ("gender_uar", "age_mae_years")
NOTE: Final = "How the scores change with what is worn; clips whose mask type is known."
Groups = Mapping[str, Sequence[str]]  # the mask types of each


def compare_mask_types(
    scores: HeadScores, head: str, readers: Mapping[str, str]
) -> ReportTable | None:
    """Show how masks change the scores of one head; None where there are fewer than two types.

    What is published of the same clips is listed beside it.
    """
    clips = scores.clips[scores.clips["mask_type"].notna()]
    worn = {name: [name] for name in MASK_TYPES if (clips["mask_type"] == name).any()}
    if len(worn) < 2:
        return None
    groups: Groups = {"all": list(worn), **worn}
    rows = []
    for measure in MEASURES:
        for modalities in scores.modality_sets(head):
            published = _find_influence(clips, readers, measure, modalities)
            if published is not None:
                rows.append(_published_row(groups, published, measure, modalities))
            rows.append(_measured_row(scores, head, groups, measure, modalities))
    columns = [
        Column(name, name_with_counts(name, clips[clips["mask_type"].isin(types)]))
        for name, types in groups.items()
    ]
    return ReportTable(
        "mask_types", f"{head} by mask type", NOTE, columns,
        drop_equal_labels(rows),
    )  # fmt: skip


def _label(measure: Measure, modalities: str, source: str) -> dict[str, Label]:
    return {
        "score": PRESENTATIONS[measure].title,
        "modalities": MODALITY_SET_NAMES[modalities],
        "source": source,
    }


def _published_row(
    groups: Groups, published: Mapping[str, float], measure: Measure, modalities: str
) -> Row:
    labels = _label(measure, modalities, f"intermediate fusion, {ORAGEN}")
    return Row(labels, [Cell(measure, published[name]) for name in groups])


def _measured_row(
    scores: HeadScores, head: str, groups: Groups, measure: Measure, modalities: str
) -> Row:
    rows = scores.resampled_rows(head, modalities)
    cells = [
        scores.score(
            rows, measure, rows.table["mask_type"].isin(types).to_numpy(bool),
            min_speakers=scores.min_speakers,
        )
        for types in groups.values()
    ]  # fmt: skip
    return Row(_label(measure, modalities, MEASURED_HERE), cells)


def _find_influence(
    clips: pd.DataFrame, readers: Mapping[str, str], measure: Measure, modalities: str
) -> dict[str, float] | None:
    """Return what is published by mask type, if all these clips are of one corpus and split."""
    places = clips[["corpus", "split"]].drop_duplicates()
    corpus, split = places.iloc[0]
    if len(places) > 1 or corpus not in readers:
        return None
    return find_mask_influence(readers[corpus], split, measure, modalities)
