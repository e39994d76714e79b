"""Scores, disparity and failures by group, counted by hand and by fairlearn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame
from sklearn.metrics import mean_absolute_error

from oragen.config import paths
from oragen.reporting.groupings import MAX_GROUPS, list_groups
from oragen.reporting.table_formats import TOO_SMALL, ReportTable
from oragen.reporting.tables.failures import count_failures
from oragen.reporting.tables.group_scores import compare_by_group
from oragen.schema.attributes import ATTRIBUTES
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS
from stages.report import join_groups
from tests.scored_heads import by_name, people, score

YEARS = [20.0] * 6
OFF = [1.0, 3.0, 2.0, 6.0, 10.0, 2.0]
GENDERS = ["female", "male"] * 3
MASKS = ["none", "none", "tissue", "tissue", "medical", "medical"]


def six(**columns: Any) -> pd.DataFrame:
    """Three women and three men in pairs of one mask type, whose ages are off by 1 to 10 years."""
    predicted = [20 + years for years in OFF]
    changes = {"gender": GENDERS, "predicted_gender": GENDERS, "mask_type": MASKS}
    return people(YEARS, predicted, **(changes | {"predicted_mask_type": MASKS} | columns))


def tables(*blocks: pd.DataFrame, min_speakers: int = 1, **options: Any) -> dict[str, ReportTable]:
    return by_name(compare_by_group(score(*blocks, min_speakers=min_speakers), "ours", **options))


def rows_of(table: ReportTable, *names: str) -> dict[tuple[Any, ...], list[float | None]]:
    return {
        tuple(row.labels[name] for name in names): [cell.value for cell in row.cells]
        for row in table.rows
    }


def test_every_group_has_its_scores_and_counts() -> None:
    """A woman in a tissue mask is taken for a man, and a bare man for one with a tissue."""
    wrong = six(
        predicted_gender=["female", "male", "male", "male", "female", "male"],
        predicted_mask_type=["none", "tissue", *MASKS[2:]],
    )
    table = tables(wrong)["group_scores"]
    assert rows_of(table, "by", "group") == {
        ("gender", "female"): [2 / 3, 13 / 3, 1.0],
        ("gender", "male"): [1.0, 11 / 3, pytest.approx(2 / 3)],
        ("age band", "18-29"): [pytest.approx(5 / 6), 4.0, pytest.approx(5 / 6)],
        ("mask type", "none"): [1.0, 2.0, 0.5],
        ("mask type", "tissue"): [0.5, 4.0, 1.0],
        ("mask type", "medical"): [1.0, 6.0, 1.0],
    }
    assert [cell.measure for cell in table.rows[0].cells] == [
        "gender_recall", "age_mae_years", "mask_type_uar"
    ]  # fmt: skip
    assert table.rows[0].labels["clips_in_all"] == table.rows[0].labels["speakers_in_all"] == 3


def test_disparity_is_that_of_fairlearn() -> None:
    found = rows_of(tables(six())["disparity"], "by", "score")
    predicted = np.array(YEARS) + OFF
    for attribute, groups in (("gender", GENDERS), ("mask type", MASKS)):
        frame = MetricFrame(
            metrics=mean_absolute_error, y_true=YEARS, y_pred=predicted, sensitive_features=groups
        )
        worst, best, difference, ratio = found[attribute, "Age MAE, years"]
        assert (worst, best) == (frame.group_max(), frame.group_min())
        assert difference == pytest.approx(frame.difference())
        assert ratio == pytest.approx(1 / frame.ratio())


def test_the_worst_group_is_named_and_the_lowest_recall_is_the_worst() -> None:
    wrong = six(predicted_gender=["female", "male", "male", "male", "female", "male"])
    table = tables(wrong)["disparity"]
    worst = {
        (row.labels["by"], row.labels["score"]): [cell.mark for cell in row.cells[:2]]
        for row in table.rows
    }
    assert worst["gender", "Gender UAR %"] == ["female", "male"]
    assert worst["mask type", "Age MAE, years"] == ["medical", "none"]
    assert worst["mask type", "Gender UAR %"][0] == "tissue"


def test_groups_of_few_speakers_are_not_compared() -> None:
    few = six(mask_type=["none"] * 3 + ["tissue"] * 2 + ["medical"])
    (row,) = [
        row
        for row in tables(few, min_speakers=2)["disparity"].rows
        if (row.labels["by"], row.labels["score"]) == ("mask type", "Age MAE, years")
    ]
    assert row.labels["groups"] == 2
    assert [cell.value for cell in row.cells[:3]] == [8.0, 2.0, 6.0]
    rows = tables(few, min_speakers=4)["disparity"].rows
    assert {cell.mark for row in rows for cell in row.cells} == {TOO_SMALL}


def test_groups_that_are_alike_have_no_disparity_in_any_resample() -> None:
    alike = six(predicted_age_years=24.0)
    table = tables(alike)["disparity"]
    for row in table.rows:
        if row.labels["score"] == "Age MAE, years":
            difference, ratio = row.cells[2:]
            assert difference[1:4] == (0.0, 0.0, 0.0)
            assert ratio[1:4] == (1.0, 1.0, 1.0)


def test_the_interval_of_a_difference_takes_both_groups_from_one_resample() -> None:
    """Each speaker is once bare and once masked, 2 years worse: so it is in every resample."""
    generator = np.random.default_rng(0)
    errors = generator.uniform(1, 9, 10)
    masks = ["none"] * 10 + ["tissue"] * 10
    both = people(
        [20.0] * 20, [*(20 + errors), *(22 + errors)],
        mask_type=masks, predicted_mask_type=masks, speaker_id=[f"s{n}" for n in range(10)] * 2,
    )  # fmt: skip
    (difference,) = [
        row.cells[2]
        for row in tables(both)["disparity"].rows
        if (row.labels["by"], row.labels["score"]) == ("mask type", "Age MAE, years")
    ]
    assert difference[1:4] == pytest.approx((2.0, 2.0, 2.0))


def test_further_columns_are_groups_too() -> None:
    languages = six().assign(language=["en", "en", "de", "de", None, "en"])
    found = rows_of(tables(languages, further=["language"])["group_scores"], "by", "group")
    assert found["language", "en"][1] == pytest.approx(2.0)
    assert found["language", "de"][1] == pytest.approx(4.0)


def test_a_column_of_too_many_groups_is_refused() -> None:
    many = people([20.0] * (MAX_GROUPS + 1), [20.0] * (MAX_GROUPS + 1))
    many["language"] = many["clip_id"]
    with pytest.raises(UserError, match=r"language has 101 values, expected at most 100"):
        list_groups(many, ["language"])


def test_columns_of_the_clips_tables_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "clips").mkdir(parents=True)
    named = {"clip_id": ["x/000", "x/001"], "language": ["en", None]}
    clips = CLIPS.empty().reindex(range(2)).assign(
        **named, corpus="x", split="test", speaker_id="s"
    )  # fmt: skip
    CLIPS.write(paths.clips_table("x"), clips)
    joined = join_groups(six(), ["corpus", "language"], ["x"])
    assert joined["language"].fillna("").tolist() == ["en"] + [""] * 5
    assert join_groups(six(), ["corpus"], []).equals(six())


def test_own_columns_are_joined_under_a_name_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows: list[dict[str, object]] = [
        {"clip_id": "x/001", "name": "tone", "value": "V"},
        {"clip_id": "x/002", "name": "accent", "value": "north"},
    ]
    ATTRIBUTES.write(paths.attributes_table("x"), ATTRIBUTES.frame(rows))
    joined = join_groups(six(), ["tone"], ["x"])["own tone"]
    assert joined.fillna("").tolist() == ["", "V", *[""] * 4]


def test_an_own_column_may_be_called_as_one_of_the_predictions() -> None:
    """`gender_identity` looks like the probability of a gender, and `seed` is one of ours."""
    names = {"own gender_identity": ["a", "b"] * 3, "own seed": "x"}
    tables = by_name(compare_by_group(score(six(**names)), "ours", list(names)))
    rows = tables["group_scores"].rows
    groups = [(row.labels["by"], row.labels["group"]) for row in rows]
    assert groups[-3:] == [("gender_identity", "a"), ("gender_identity", "b"), ("seed", "x")]


def test_failures_are_counted_by_group_before_any_score() -> None:
    """Two clips have no voice, both of women; one of them has no face either, and another none."""
    whole = six(num_windows=[0, 1, 1, 1, 1, 1], predicted_age_years=[np.nan, *[20.0] * 5])
    voice = six(num_windows=[0, 1, 0, 1, 1, 1], modalities="audio")
    face = six(num_windows=[0, 0, 1, 1, 1, 1], modalities="face")
    again = [block.assign(seed=1) for block in (whole, voice, face)]
    table = count_failures(score(whole, voice, face, *again))
    assert [column.name for column in table.columns] == ["audio", "face", "audio_visual"]
    found = rows_of(table, "by", "group")
    assert found["", "all clips"] == pytest.approx([2 / 6, 2 / 6, 1 / 6])
    assert found["gender", "female"] == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert found["mask type", "none"] == [0.5, 1.0, 0.5]
    assert found["corpus", "x"] == found["", "all clips"]
    first = table.rows[0]
    assert (first.labels["clips_in_all"], first.labels["speakers_in_all"]) == (6, 6)
    assert first.cells[0].std_over_seeds is None


def test_failures_of_a_modality_that_no_head_takes_are_not_there() -> None:
    table = count_failures(score(six(modalities="audio")))
    assert [column.name for column in table.columns] == ["audio"]
