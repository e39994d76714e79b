"""Predictions with intervals and sets -> tables of how often they hold the truth, by hand."""

import pandas as pd
import pytest

from oragen.reporting.coverage import find_coverage
from oragen.reporting.run_description import measure_coverage
from oragen.reporting.table_formats import TOO_SMALL, ReportTable, to_markdown
from oragen.reporting.tables.coverage import compare_coverage
from tests.scored_heads import by_name, clips, labels, predict, score, values


def with_intervals(corpus: str = "x", *, older: float = 3.0, level: float = 0.9) -> pd.DataFrame:
    """Ages are off by 3 years: within an interval of 5 for all, and without one of 2 for women."""
    women = clips(corpus)["gender"] == "female"
    return predict(clips(corpus), older=older).assign(
        modalities_used="audio_visual", interval_coverage=level, age_half_width_years=5.0,
        age_conditional_half_width_years=[2.0 if woman else 4.0 for woman in women],
        set_of_gender=["female" if woman else "female, male" for woman in women],
        set_of_mask_type=["none"] * 4,
    )  # fmt: skip


def tables_of(*blocks: pd.DataFrame) -> dict[str, ReportTable]:
    return by_name(compare_coverage(score(*blocks), "ours"))


def test_coverage_and_size_by_hand() -> None:
    """Two clips of a woman, two of a man; every other with a tissue mask."""
    predictions = with_intervals()
    fixed = find_coverage(predictions, "age_fixed_coverage")
    assert fixed.holds.tolist() == [1.0] * 4
    assert fixed.size.tolist() == [10.0] * 4
    by_condition = find_coverage(predictions, "age_interval_coverage")
    assert by_condition.holds.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert by_condition.size.tolist() == [4.0, 4.0, 8.0, 8.0]
    genders = find_coverage(predictions, "gender_set_coverage")
    assert genders.holds.tolist() == [1.0] * 4
    assert genders.size.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert find_coverage(predictions, "mask_type_set_coverage").holds.tolist() == [1, 0, 1, 0]
    assert measure_coverage(predictions) == 0.5


def test_a_group_of_few_speakers_is_counted_and_shows_no_share() -> None:
    [row] = by_name(compare_coverage(score(with_intervals(), min_speakers=3), "ours"))[
        "coverage"
    ].rows
    assert [(cell.value, cell.mark, cell.clips) for cell in row.cells] == [(None, TOO_SMALL, 4)] * 4


def test_the_tables_show_methods_corpora_and_groups() -> None:
    tables = tables_of(with_intervals())
    [row] = tables["coverage"].rows
    assert row.labels == {
        "corpus": "x", "method": "ours", "calibrated_on": "this corpus", "clips_in_all": 4,
        "speakers_in_all": 2,
    }  # fmt: skip
    assert [cell.value for cell in row.cells] == [1.0, 0.5, 1.0, 0.5]
    assert [cell.mark.partition(",")[0] for cell in row.cells] == [
        "10.0 years", "6.0 years", "1.5 labels", "1.0 labels",
    ]  # fmt: skip
    groups = tables["coverage_groups"]
    assert list(zip(labels(groups, "by"), labels(groups, "group"), strict=True)) == [
        ("predicted from", "audio-visual"), ("predicted mask type", "none"),
        ("predicted mask type", "tissue"), ("mask type", "none"), ("mask type", "tissue"),
        ("gender", "female"), ("gender", "male"), ("age", "18-29"), ("age", "45-59"),
    ]  # fmt: skip
    assert values(groups)[5] == [1.0, 0.0, 1.0, 0.5]
    assert "Promised: 90%" in to_markdown(groups)


def test_a_share_is_marked_where_its_whole_interval_is_below_the_promise() -> None:
    """No age is within: the interval of the share ends at 0."""
    [row] = tables_of(with_intervals(older=30.0))["coverage"].rows
    assert [cell.mark for cell in row.cells[:2]] == ["10.0 years, below", "6.0 years, below"]
    assert not row.cells[2].mark.endswith("below")


def test_a_corpus_that_did_not_calibrate_the_head_is_named() -> None:
    table = tables_of(with_intervals("x"), with_intervals("y"))["coverage"]
    assert labels(table, "corpus") == ["all corpora", "x", "y"]
    assert labels(table, "calibrated_on") == ["x", "this corpus", "other corpora"]
    assert "ours was calibrated on x and not on y: there the promise does not hold" in table.note


@pytest.mark.parametrize("columns", [[], ["age_half_width_years"]])
def test_predictions_of_earlier_versions_show_what_they_have(columns: list[str]) -> None:
    bare = predict().assign(**dict.fromkeys(columns, 5.0))
    tables = tables_of(bare)
    assert bool(tables) == bool(columns)
    if tables:
        [row] = tables["coverage"].rows
        assert [cell.value for cell in row.cells] == [1.0, None, None, None]
        assert "Promised: 90%" in tables["coverage"].note
