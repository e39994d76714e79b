"""A clips table -> counts of clips and speakers, beside the published ones; what looks wrong."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pandas as pd

from oragen.corpora.corpus_card import CorpusCard, Statistics
from oragen.schema.ages import BANDS, band_ages
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, MASK_TYPES, SPLITS, Skipped

UNKNOWN = "unknown"
ORDER = {"gender": GENDERS_WITH_CHILD, "age": BANDS, "mask_type": MASK_TYPES}

MIN_CLIPS: Final = 4  # fewer say nothing about a corpus
MANY_SPEAKERS: Final = 0.9  # of the clips
MUCH_SKIPPED: Final = 0.5
WITHOUT_LABEL: Final = "no label"  # a corpus may list much that it has not labelled
LABELS: Final = {"gender": "gender", "age": "age_years", "mask type": "mask_type"}


class Comparison(NamedTuple):
    """A published figure, and the same of this copy."""

    figure: str
    published: str
    here: str


def count_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """Count clips and speakers of each split, gender, band of ages and mask type.

    Args:
        clips: a clips table.

    Returns:
        a row for each existing `(kind, value)`, with the columns train, dev, test and all.
    """
    kinds = clips.assign(age=band_ages(clips["age_years"]))
    rows = {("clips", "all"): clips.groupby("split").size()}
    rows["speakers", "all"] = clips.groupby("split")["speaker_id"].nunique()
    for kind, values in ORDER.items():
        labels = kinds[kind].astype(object).where(kinds[kind].notna(), UNKNOWN)
        counts = kinds.groupby([labels, "split"]).size().unstack("split", fill_value=0)
        for value in (*values, UNKNOWN):
            if value in counts.index:
                rows[kind, value] = counts.loc[value]
    table = pd.DataFrame(rows).T.reindex(columns=list(SPLITS)).fillna(0).astype(int)
    table["all"] = table.sum(axis=1)
    return table


def find_oddities(
    clips: pd.DataFrame, skipped: Sequence[Skipped], card: CorpusCard
) -> Iterator[str]:
    """Yield a sentence for each sign that a table does not say what its author meant.

    Args:
        clips: a clips table.
        skipped: the clips that were skipped.
        card: of the corpus; only labels that it promises are missed.
    """
    lost = sum(item.reason != WITHOUT_LABEL for item in skipped)
    if lost > MUCH_SKIPPED * (lost + len(clips)):
        yield (
            f"{lost:,} of {lost + len(clips):,} listed clips are skipped. Look at their reasons: "
            "the table may not fit the files."
        )
    for label, column in LABELS.items():
        if label in card.labels and not clips[column].notna().any():
            yield f"No clip has a label of {label}, so the corpus does not train it."
    speakers = clips["speaker_id"].nunique()
    if len(clips) >= MIN_CLIPS and speakers > MANY_SPEAKERS * len(clips):
        yield (
            f"There are about as many speakers as clips: {speakers:,} of {len(clips):,}. If people "
            "are in several clips, name them in the column of the speaker; else one person may "
            "be in two splits."
        )
    yield from _find_narrow_splits(clips)


def _find_narrow_splits(clips: pd.DataFrame) -> Iterator[str]:
    for split in SPLITS:
        inside = clips[clips["split"] == split]
        genders = inside["gender"].dropna().unique()
        if inside["speaker_id"].nunique() == 1:
            yield f"All {len(inside):,} clips of {split} are of one speaker."
        elif len(genders) == 1:
            yield f"All clips of {split} with a gender are {genders[0]}."


def compare_with_published(clips: pd.DataFrame, statistics: Statistics) -> list[Comparison]:
    """Put published counts beside those of a clips table; unpublished ones are skipped."""
    comparisons: list[Comparison] = []
    if statistics.clips is not None:
        comparisons.append(Comparison("clips", f"{statistics.clips:,}", f"{len(clips):,}"))
    counted = clips if statistics.counted == "clips" else clips.drop_duplicates("speaker_id")
    for gender, number in statistics.by_gender.items():
        here = int((counted["gender"] == gender).sum())
        comparisons.append(Comparison(f"{gender} {statistics.counted}", f"{number:,}", f"{here:,}"))
    ages = clips["age_years"].dropna()
    if statistics.age_range_years is not None:
        low, high = statistics.age_range_years
        here_range = f"{ages.min():.0f}-{ages.max():.0f}" if len(ages) else "-"
        comparisons.append(Comparison("ages, years", f"{low}-{high}", here_range))
    for name, published, here_value in (
        ("mean age, years", statistics.age_mean_years, ages.mean()),
        ("standard deviation of ages", statistics.age_std_years, ages.std(ddof=0)),
    ):
        if published is not None:
            shown = "-" if pd.isna(here_value) else f"{here_value:.1f}"
            comparisons.append(Comparison(name, f"{published:.1f}", shown))
    return comparisons
