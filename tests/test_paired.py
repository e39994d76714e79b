"""Two heads on the same clips -> whether their difference is beyond chance."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from oragen.reporting.bootstrap import Measure
from oragen.reporting.paired import (
    Difference,
    Pair,
    compare_pairs,
    correct_by_holm,
    count_needed_resamples,
    find_p_value,
)
from oragen.reporting.table_formats import TOO_SMALL, to_cells, to_records
from oragen.reporting.tables.differences import compare_differences
from tests.scored_heads import by_name, clips, predict, resample, score


def compare(
    heads: Mapping[str, pd.DataFrame], measure: Measure = "age_mae_years", resamples: int = 999
) -> dict[Pair, Difference]:
    return compare_pairs(resample(heads, resamples), measure)


def off_by(*errors: float, name: str = "s") -> pd.DataFrame:
    """A clip of a speaker of their own for each error of the age, and all genders correct."""
    numbers = [str(number) for number in range(len(errors))]
    return pd.DataFrame(
        {
            "corpus": "x", "clip_id": numbers, "speaker_id": [f"{name}{n}" for n in numbers],
            "seed": 0, "age_years": 40.0, "predicted_age_years": [40.0 + error for error in errors],
            "gender": ["female", "male"] * (len(errors) // 2) + ["female"] * (len(errors) % 2),
            "gender_female": 0.5, "gender_male": 0.5,
        }
    ).assign(predicted_gender=lambda rows: rows["gender"])  # fmt: skip


def test_a_difference_that_all_speakers_share_holds_though_the_intervals_overlap() -> None:
    """Errors of 0 to 19 years, and a year more of each: no resample has another difference."""
    heads = {"a": off_by(*range(20)), "b": off_by(*range(1, 21))}
    (found,) = compare(heads).values()
    assert found == Difference(-1.0, -1.0, -1.0, p_value=2 / 1000, clips=20, speakers=20)
    assert found.holds
    assert found.turned() == found._replace(value=1.0, low=1.0, high=1.0)


def test_a_difference_of_one_speaker_does_not_hold() -> None:
    """A third of the resamples lack the only speaker of whom they differ."""
    heads = {"a": off_by(0, 0, 0, 0), "b": off_by(0, 0, 0, 9)}
    (found,) = compare(heads).values()
    assert (found.value, found.high) == (-2.25, 0.0)
    assert found.p_value == pytest.approx(2 * 0.75**4, abs=0.08)
    assert not found.holds


def test_heads_are_compared_on_the_clips_that_both_predict() -> None:
    """The second lacks the clip that the first has wrong by 30 years."""
    partial = off_by(2, 2, 2, 0)
    partial.loc[3, "predicted_age_years"] = np.nan
    heads = {"a": off_by(1, 1, 1, 30), "b": partial, "c": off_by(3, 3, 3, 3)}
    found = compare(heads)
    assert [(pair, d.value, d.clips) for pair, d in found.items()] == [
        (("a", "b"), -1.0, 3), (("a", "c"), 5.25, 4), (("b", "c"), -1.0, 3),
    ]  # fmt: skip


def test_rows_in_another_order_give_the_same_difference() -> None:
    heads = {"a": off_by(*range(9)), "b": off_by(*range(9)[::-1])}
    turned = {name: rows.iloc[::-1] for name, rows in heads.items()}
    assert compare(heads) == compare({"a": turned["a"], "b": heads["b"]})


def test_what_cannot_be_scored_is_not_compared() -> None:
    nobody = off_by(1, 2).assign(predicted_age_years=np.nan)
    heads = {"a": off_by(1, 2), "b": nobody}
    assert compare(heads) == {}
    one = off_by(1, 2).assign(speaker_id="s")
    assert compare({"a": one, "b": one}) == {}
    women = off_by(1, 2).assign(gender="female")
    assert compare({"a": women, "b": women}, "gender_uar") == {}
    assert compare({"a": women}) == {}


def test_seeds_are_averaged_before_heads_are_compared() -> None:
    """Errors of 1 and 3 years of two seeds against 4 of one."""
    two = pd.concat([off_by(1, 1, 1, 1), off_by(3, 3, 3, 3).assign(seed=1)])
    (found,) = compare({"a": two, "b": off_by(4, 4, 4, 4)}).values()
    assert (found.value, found.clips) == (-2.0, 4)


def test_p_is_twice_the_smaller_side_of_zero_and_never_zero() -> None:
    assert find_p_value(np.ones(9), 20) == pytest.approx(2 * 1 / 10)
    assert find_p_value(np.array([-1.0, *np.ones(8)]), 20) == pytest.approx(2 * 2 / 10)
    assert find_p_value(np.zeros(9), 20) == 1.0


def test_few_speakers_who_all_agree_are_no_proof() -> None:
    """Three speakers all agree by chance in one of four reports, one way or the other."""
    assert find_p_value(np.ones(999), 3) == 0.25
    assert find_p_value(np.ones(999), 20) == pytest.approx(2 / 1000)


def test_holms_correction_worked_out_by_hand() -> None:
    """Smallest first: 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04, which may not be below 0.06."""
    assert correct_by_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_by_holm([0.6, 0.7]) == [1.0, 1.0]
    assert correct_by_holm([]) == []


def test_with_too_few_resamples_no_difference_of_many_can_hold() -> None:
    for num_pairs in (1, 15, 66):
        enough = count_needed_resamples(num_pairs)
        assert num_pairs * find_p_value(np.ones(enough), 30) < 0.05
        assert num_pairs * find_p_value(np.ones(enough - 1), 30) >= 0.05


def test_heads_that_are_alike_seldom_differ_and_others_do() -> None:
    """Errors of 30 studies by chance; 5 in 100 may differ, few speakers make it some more."""
    generator = np.random.default_rng(2)
    held = {0.0: 0, 1.5: 0}
    for shift in held:
        for _ in range(30):
            common = np.abs(generator.normal(6, 3, 30))
            heads = {name: off_by(*(common + generator.normal(0, 1, 30) + more))
                     for name, more in (("a", 0), ("b", shift))}  # fmt: skip
            (found,) = compare(heads, resamples=199).values()
            held[shift] += found.holds
    assert held[0.0] <= 5
    assert held[1.5] >= 27


def test_the_matrix_shows_every_two_heads_both_ways() -> None:
    """Two women and men; `poor` is 8 years off, `better` 2, and calls no face by its gender."""
    blocks = [
        predict(clips(corpus), head, variant=variant, older=older)
        for corpus in "xyz"
        for head, variant, older in (("poor", "audio_only", 8.0), ("better", "joint", 2.0))
    ]
    tables = by_name(compare_differences(score(*blocks, num_resamples=199)))
    assert list(tables) == ["differences_gender", "differences_age", "differences_mask_type"]
    table = tables["differences_age"]
    assert to_cells(table) == (
        ["Method", "minus poor", "minus better"],
        [
            ["poor", "–", "+6.00 [+6.00, +6.00], p 0.031 (holds)"],
            ["better", "-6.00 [-6.00, -6.00], p 0.031 (holds)", "–"],
        ],
    )
    assert "for 1 pair; the interval is not." in table.note
    record = to_records(table)[1]
    assert (record["clips"], record["speakers"], record["p_value"]) == (12, 6, 2**-5)
    assert "(holds)" not in to_cells(tables["differences_gender"])[1][0][2]


def test_the_matrix_says_when_more_resamples_are_needed() -> None:
    heads = [predict(head=f"h{number}") for number in range(4)]
    table = compare_differences(score(*heads, num_resamples=50))[0]
    assert "With 50 resamples no difference can hold: set report.num_resamples to 240" in table.note


def test_one_head_has_no_matrix() -> None:
    assert compare_differences(score(predict())) == []


def test_a_difference_of_few_speakers_is_not_tested() -> None:
    """Six speakers; the women and the men of whom the recalls are averaged are three each."""
    blocks = [predict(clips(corpus), head) for corpus in "xyz" for head in ("a", "b")]
    tables = by_name(compare_differences(score(*blocks, num_resamples=99, min_speakers=4)))
    assert to_cells(tables["differences_gender"])[1][0][2] == TOO_SMALL
    assert "for 0 pairs" in tables["differences_gender"].note
    assert "p 1.000" in to_cells(tables["differences_age"])[1][0][2]
