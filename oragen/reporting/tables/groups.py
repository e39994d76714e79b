"""Scores of all heads -> one head by age band and gender."""

from oragen.reporting.bootstrap import Measure
from oragen.reporting.scores import HeadScores, count_clips
from oragen.reporting.table_formats import PRESENTATIONS, Column, ReportTable, Row
from oragen.reporting.tables.disparity import SECTION
from oragen.schema.ages import BANDS, band_ages
from oragen.schema.vocabulary import GENDERS_WITH_CHILD


def compare_groups(scores: HeadScores, head: str) -> ReportTable | None:
    """Show for whom one head is right, by age band and gender; None where these are not known."""
    of_head = scores.widest_rows(head)
    table = of_head.table
    bands = band_ages(table["age_years"])
    measures: tuple[Measure, ...] = (
        "gender_recall", "age_mae_years", "age_bias_years", "mask_type_uar",
    )  # fmt: skip
    groups = {
        (band, gender): ((bands == band) & (table["gender"] == gender)).to_numpy(bool)
        for band in BANDS
        for gender in GENDERS_WITH_CHILD
    }
    rows = [
        Row(
            {"age_band": band, "gender": gender, **count_clips(table[members])._asdict()},
            [
                scores.score(of_head, name, members, min_speakers=scores.min_speakers)
                for name in measures
            ],
        )
        for (band, gender), members in groups.items()
        if members.any()
    ]
    if not rows:
        return None
    unknown = scores.clips[["age_years", "gender"]].isna().any(axis=1).sum()
    note = "For whom the head is right, and who is taken for older (above 0) or younger."
    if unknown:
        note += f" {unknown} clips of unknown age or gender are skipped."
    return ReportTable(
        "groups", f"{head} by age and gender", note,
        [Column(name, PRESENTATIONS[name].title) for name in measures], rows, SECTION,
    )  # fmt: skip
