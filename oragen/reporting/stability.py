"""Predictions of the clips of a speaker -> how far they are apart, and masked against bare ones.

Each person, or clip, gives one number with each training seed.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from oragen.reporting.bootstrap import Measure, value_clips
from oragen.reporting.estimates import Estimate
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.table_formats import TableMeasure

BARE: Final = "none"
PERSON: Final = ["corpus", "speaker_id", "seed"]
SHARES: Final[tuple[TableMeasure, ...]] = ("people_of_two_genders",)  # others are variances


def estimate_spreads(rows: ResampledRows) -> dict[TableMeasure, Estimate]:
    """Score how far apart the predictions of one person are, and of one clip.

    A standard deviation within persons is the root of the mean of their variances (n - 1): the
    within-subject standard deviation of Bland & Altman 1996, doi 10.1136/bmj.313.7059.744. Each
    person with at least two clips counts once; of ages it is that of predicted minus true. Within
    clips it is the same of the windows of a clip, and each clip counts once.

    `people_of_two_genders` is the share of the persons with at least two clips who are not called
    by one gender in all of them.

    Returns:
        what there is anything to score of.
    """
    table, values = rows.table, _value_spreads(rows.table)
    within_person = {name: value for name, value in values.items() if "clip" not in name}
    firsts = {name: take_first(table, value) for name, value in within_person.items()}
    found = rows.average({name: value.to_numpy(float) for name, value in (values | firsts).items()})
    return {
        name: (estimate if name in SHARES else estimate.transform(np.sqrt))._replace(
            clips=rows.count_clips(values[name].notna().to_numpy())
        )
        for name, estimate in found.items()
        if estimate.clips
    }


def compare_with_bare(
    rows: ResampledRows, mask_types: Mapping[str, Collection[str]], measures: Sequence[Measure]
) -> dict[tuple[str, Measure], Estimate]:
    """Compare the masked clips of each speaker with the bare ones of the same speaker.

    Each speaker counts once: the mean over the masked clips minus the mean over the bare ones.

    Args:
        rows: of one head from one set of modalities.
        mask_types: name -> the mask types that it stands for.
        measures: means over clips, such as errors.

    Returns:
        name and measure -> the mean difference; not there where fewer than two speakers have both.
    """
    table, worn = rows.table, rows.table["mask_type"]
    differences: dict[tuple[str, Measure], pd.Series[float]] = {}
    for measure in measures:
        values, _ = value_clips(table, measure)
        bare = average_persons(table, values.where(worn == BARE))
        for name, kinds in mask_types.items():
            masked = average_persons(table, values.where(worn.isin(kinds)))
            is_compared = values.notna() & worn.isin([BARE, *kinds])
            differences[name, measure] = (masked - bare).where(is_compared)
    found = rows.average(
        {key: take_first(table, value).to_numpy(float) for key, value in differences.items()}
    )
    return {
        key: estimate._replace(clips=rows.count_clips(differences[key].notna().to_numpy()))
        for key, estimate in found.items()
        if estimate.speakers > 1
    }


def average_persons(table: pd.DataFrame, values: "pd.Series[float]") -> "pd.Series[float]":
    """Return on each row the mean value of its person and seed; NaN where none is known."""
    return values.groupby([table[name] for name in PERSON], observed=True).transform("mean")


def take_first(table: pd.DataFrame, values: "pd.Series[float]") -> "pd.Series[float]":
    """Keep what persons have in common on one row of each person and seed that has it."""
    known = values.notna()
    return values.where(known & ~table[PERSON].assign(known=known).duplicated())


def _value_spreads(table: pd.DataFrame) -> dict[TableMeasure, "pd.Series[float]"]:
    """Return the variance or share of the person, or clip, of each row; NaN where there is none."""
    is_predicted = table["predicted_age_years"].notna()
    true = table["age_years"].where(table["age_years"] >= 0)
    people = [table[name] for name in PERSON]
    genders = table["predicted_gender"].where(is_predicted).groupby(people, observed=True)
    of_two = (genders.transform("nunique") > 1).astype(float)
    ages, female = table["predicted_age_years"] - true, table["gender_female"].where(is_predicted)
    return {
        "age_std_within_person_years": _find_variance(ages, people),
        "age_std_within_clip_years": _square_windows(table, "age_years"),
        "female_std_within_person": _find_variance(female, people),
        "female_std_within_clip": _square_windows(table, "female"),
        "people_of_two_genders": of_two.where(is_predicted & (genders.transform("count") > 1)),
    }


def _find_variance(values: "pd.Series[float]", people: Sequence[pd.Series]) -> "pd.Series[float]":
    """Return the variance (n - 1) over the clips of each person and seed that have a value."""
    variances = values.groupby(people, observed=True).transform("var")
    return variances.where(values.notna())


def _square_windows(table: pd.DataFrame, name: str) -> "pd.Series[float]":
    """Return the variance over the windows of each clip that has two; earlier versions lack it."""
    nothing = pd.Series(np.nan, table.index)
    variances: pd.Series[float] = table.get(f"window_std_{name}", nothing) ** 2
    return variances.where(table["predicted_age_years"].notna())
