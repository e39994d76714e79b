"""A method, a corpus, some clips -> the labels of a table's rows and the headers of its columns."""

from collections.abc import Iterable, Sequence
from typing import Final

import pandas as pd

from oragen.reporting.bootstrap import Measure
from oragen.reporting.scores import HeadScores, Method, count_clips
from oragen.reporting.table_formats import Column, Label, Row
from oragen.schema.vocabulary import ClassTask

MEASURED_HERE: Final = "measured here"
MODALITY_SET_NAMES: Final = {
    "audio_visual": "audio-visual",
    "audio": "audio only",
    "face": "face only",
}
TASK_NAMES: Final[dict[ClassTask, str]] = {"gender": "gender", "mask_type": "mask type"}
MEASURES: Final[dict[str, tuple[Measure, ...]]] = {  # of each task
    "gender": ("gender_uar",),
    "age": ("age_mae_years", "age_interval_error_years"),
    "mask_type": ("mask_type_uar",),
}


def label_method(method: Method) -> dict[str, Label]:
    """Return the labels of a row about one method."""
    return {
        "method": method.head,
        "variant": method.variant,
        "level": method.level,
        "trained_on": method.trained_on,
        "modalities": MODALITY_SET_NAMES[method.modalities],
    }


def drop_equal_labels(rows: Sequence[Row]) -> list[Row]:
    """Drop the labels that are the same in all rows, and variants that are but the names."""
    equal = {
        name
        for name in ("variant", "level", "trained_on", "modalities", "source")
        if len({row.labels.get(name) for row in rows}) == 1
        or (
            name == "variant"
            and all(row.labels[name] in ("", row.labels["method"]) for row in rows)
        )
    }
    return [
        Row({name: label for name, label in row.labels.items() if name not in equal}, row.cells)
        for row in rows
    ]


def has_score(rows: Iterable[Row]) -> bool:
    """Return whether any cell has a score."""
    return any(cell.value is not None for row in rows for cell in row.cells)


def has_age_bands(clips: pd.DataFrame) -> bool:
    """Return whether the age of any clip is known as a band of years."""
    return bool(clips[["age_low", "age_high"]].notna().all(axis=1).any())


def corpus_column(scores: HeadScores, scope: str, measure: Measure) -> Column:
    """Return the column of a measure on one corpus or all."""
    if measure == "age_interval_error_years":
        return Column(scope, f"{scope}, distance to age band")
    return Column(scope, name_with_counts(scope, scores.clips_of(scope)))


def name_with_counts(name: str, clips: pd.DataFrame) -> str:
    """Write such as `studio (25 clips, 10 speakers)`."""
    counts = count_clips(clips)
    return f"{name} ({counts.clips_in_all} clips, {counts.speakers_in_all} speakers)"
