"""Predictions of one person -> how far they are apart, and masked against bare, by hand."""

import numpy as np
import pandas as pd
import pytest

from oragen.reporting.estimates import to_cell
from oragen.reporting.stability import compare_with_bare, estimate_spreads
from oragen.reporting.table_formats import TOO_SMALL, Cell, TableMeasure, to_cells
from oragen.reporting.tables.quality import compare_quality, cut_quarters
from oragen.reporting.tables.stability import compare_masked_speakers, compare_stability
from tests.scored_heads import clips, labels, predict, resample, score, values


def spread(table: pd.DataFrame) -> dict[TableMeasure, Cell]:
    rows = resample({"ours": table}, 99)["ours"]
    return {
        measure: to_cell(measure, estimate, min_speakers=1)
        for measure, estimate in estimate_spreads(rows).items()
    }


def test_the_deviation_within_persons_worked_out_by_hand() -> None:
    """Predicted minus true: 1 and 5 of the woman, 2 and 2 of the man: variances of 8 and 0."""
    rows = clips().assign(gender_female=[0.9, 0.7, 0.2, 0.2])
    rows["predicted_age_years"] += [1.0, 5.0, 2.0, 2.0]
    rows.loc[1, "predicted_gender"] = "male"
    found = spread(predict(rows))
    assert found["age_std_within_person_years"].value == pytest.approx(((8 + 0) / 2) ** 0.5)
    assert found["female_std_within_person"].value == pytest.approx((0.02 / 2) ** 0.5)
    assert found["people_of_two_genders"].value == 0.5
    assert (found["people_of_two_genders"].clips, found["people_of_two_genders"].speakers) == (4, 2)
    assert found["age_std_within_person_years"].low == 0.0
    assert found["age_std_within_person_years"].high == pytest.approx(8**0.5)


def test_a_person_with_one_clip_or_no_known_age_says_nothing() -> None:
    rows = clips().assign(speaker_id=["a", "b", "c", "c"])
    rows.loc[3, "age_years"] = np.nan
    found = spread(predict(rows))
    assert "age_std_within_person_years" not in found
    assert found["people_of_two_genders"].speakers == 1
    assert compare_stability(score(predict(clips().assign(speaker_id=list("abcd"))))) is None


def test_the_deviation_within_clips_is_that_of_their_windows() -> None:
    """Of 3 and 4 years in two clips; the others have one window, and no deviation."""
    nothing = [np.nan, np.nan]
    rows = clips().assign(
        window_std_age_years=[3.0, 4.0, *nothing], window_std_female=[0.1, 0.1, *nothing]
    )
    found = spread(predict(rows))
    assert found["age_std_within_clip_years"].value == pytest.approx(((9 + 16) / 2) ** 0.5)
    assert found["female_std_within_clip"].value == pytest.approx(0.1)
    assert found["age_std_within_clip_years"].clips == 2
    assert found["age_std_within_clip_years"].speakers == 1


def test_a_mask_is_compared_with_the_bare_face_of_the_same_speaker() -> None:
    """Both are bare once, off by 1 year; with a tissue mask by 4 and 8: 3 and 7 years more."""
    rows = clips()
    rows["predicted_age_years"] += [1.0, 4.0, -1.0, -8.0]
    masks = {"any mask": ["tissue", "ffp"], "ffp": ["ffp"]}
    of_head = resample({"ours": predict(rows)}, 99)["ours"]
    ((key, found),) = compare_with_bare(of_head, masks, ["age_mae_years"]).items()
    assert key == ("any mask", "age_mae_years")
    assert found.of_seeds.tolist() == [5.0]
    assert (found.clips, found.speakers) == (4, 2)
    assert set(found.means) == {3.0, 5.0, 7.0}


def test_a_speaker_who_is_never_bare_is_not_compared() -> None:
    rows = clips()
    rows.loc[0, "mask_type"] = "tissue"
    of_head = resample({"ours": predict(rows)})["ours"]
    assert compare_with_bare(of_head, {"any": ["tissue"]}, ["age_mae_years"]) == {}
    assert compare_masked_speakers(score(predict(rows)), "ours") is None


def test_the_table_of_masks_marks_what_holds() -> None:
    """Masks add 2 to 21 years to the error of 20 women, and nothing changes their gender."""
    women = pd.concat(
        [
            clips().iloc[:2].assign(
                clip_id=[f"{n}/bare", f"{n}/masked"], speaker_id=f"s{n}",
                predicted_age_years=[21.0, 23.0 + n],
            )
            for n in range(20)
        ]
    )  # fmt: skip
    table = compare_masked_speakers(score(predict(women), num_resamples=999), "ours")
    assert table is not None
    assert labels(table, "mask_type") == ["any mask", "tissue"]
    assert values(table)[0] == pytest.approx([11.5, 11.5, 0.0])
    headers, lines = to_cells(table)
    assert headers[1] == "Age MAE, years"
    assert lines[0][1].startswith("+11.50 [")
    assert lines[0][1].endswith("(holds)")
    assert lines[0][3] == "+0.0 [+0.0, +0.0], p 1.000"


def test_heads_are_compared_by_their_stability() -> None:
    unsteady = clips()
    unsteady["predicted_age_years"] += [0.0, 4.0, 0.0, 4.0]
    table = compare_stability(score(predict(), predict(unsteady, "unsteady")))
    assert table is not None
    assert labels(table, "method") == ["ours", "unsteady"]
    steady, other = values(table)
    assert steady == [0.0, None, 0.0, None, 0.0]
    assert other == [pytest.approx(8**0.5), None, 0.0, None, 0.0]


def test_quarters_have_as_many_clips_and_all_their_seeds() -> None:
    rows = pd.concat([clips(corpus).assign(num_crops=[1, 2, 3, 4]) for corpus in "xy"])
    both = pd.concat([rows.assign(seed=0), rows.assign(seed=1)], ignore_index=True)
    quarters = cut_quarters(both, "num_crops")
    assert [(quarter.name, quarter.rows.sum()) for quarter in quarters] == [
        ("1", 4), ("2", 4), ("3", 4), ("4", 4),
    ]  # fmt: skip
    assert cut_quarters(both.assign(num_crops=1), "num_crops") == []
    assert cut_quarters(rows.assign(num_crops=[3, *[4] * 7]), "num_crops") == []
    close = cut_quarters(rows.assign(face_px=[100.1, 100.2, 100.3, 100.4] * 2), "face_px")
    assert [quarter.name for quarter in close] == ["100.1", "100.2", "100.3", "100.4"]


def test_errors_are_shown_by_what_there_was_to_work_with() -> None:
    """The shorter the speech, the larger the error: 4, 3, 2, 1 years. One clip has no face."""
    rows = clips().assign(speech_s=[1.0, 2.0, 3.5, 8.25], face_px=[40.0, 50.0, np.nan, 60.0])
    rows["predicted_age_years"] += [4.0, 3.0, 2.0, 1.0]
    table = compare_quality(score(predict(rows)), "ours")
    assert table is not None
    assert labels(table, "by") == ["length of speech, s"] * 4 + ["side of the face, px"] * 3
    assert labels(table, "group")[:4] == ["1", "2", "3.5", "8.25"]
    assert [row[1] for row in values(table)] == [4.0, 3.0, 2.0, 1.0, 4.0, 3.0, 1.0]
    assert compare_quality(score(predict()), "ours") is None


def test_stability_of_few_speakers_is_not_shown() -> None:
    of_all = score(predict(), min_speakers=3)
    for table in (compare_stability(of_all), compare_masked_speakers(of_all, "ours")):
        assert table is not None
        assert {cell.value for row in table.rows for cell in row.cells} == {None}
        assert TOO_SMALL in {cell.mark for row in table.rows for cell in row.cells}
