"""A clips table -> counts of clips and speakers, beside the published statistics of the corpus."""

from typing import NamedTuple

import pandas as pd

from oragen.corpora.corpus_card import Statistics
from oragen.schema.ages import BANDS, band_ages
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, MASK_TYPES, SPLITS

UNKNOWN = "unknown"
ORDER = {"gender": GENDERS_WITH_CHILD, "age": BANDS, "mask_type": MASK_TYPES}


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
