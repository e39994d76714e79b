"""Speakers -> splits: official ones stay; ours are alike in gender and age, and lasting."""

import hashlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from oragen.corpora.splits import (
    TRAIN_OR_DEV,
    assign_splits,
    stratify_speakers,
)

Row = tuple[str, str | None, str | None, float | None]


def table(*rows: Row) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["speaker_id", "split", "gender", "age_years"])
    return frame.astype({"split": object, "gender": object, "age_years": float})


def speakers(
    number: int, split: str | None = None, gender: str | None = "female", age: float | None = 34.5
) -> list[Row]:
    return [(f"{gender} {age} {n}", split, gender, age) for n in range(number)]


def splits_by_speaker(clips: pd.DataFrame) -> dict[str, str]:
    splits = assign_splits("mine", clips)
    assert splits.notna().all()
    found = clips.assign(split=splits)[["speaker_id", "split"]].drop_duplicates()
    assert found["speaker_id"].is_unique
    return dict(found.itertuples(index=False))


# Ours


def test_twenty_speakers_who_are_alike_are_divided_14_3_3() -> None:
    """0.7 x 20 = 14; ranks 14 to 16 stand at 0.725 to 0.825; the other three from 0.875 on."""
    counts = Counter(splits_by_speaker(table(*speakers(20))).values())
    assert counts == {"train": 14, "dev": 3, "test": 3}


def test_the_order_is_that_of_the_hash_of_corpus_and_speaker() -> None:
    names = [row[0] for row in speakers(20)]
    names.sort(key=lambda name: hashlib.sha256(f"mine/{name}".encode()).hexdigest())
    found = splits_by_speaker(table(*speakers(20)))
    assert [found[name] for name in names] == ["train"] * 14 + ["dev"] * 3 + ["test"] * 3


def test_an_assigned_split_stays_what_it_was() -> None:
    """Their SHA-256 begin with 30 (c), 5b (d), 67 (a), 72 (e), b7 (f), f2 (b) and fc (g)."""
    found = splits_by_speaker(table(*[(name, None, None, None) for name in "abcdefg"]))
    assert found == {
        "c": "train", "d": "train", "a": "train", "e": "train", "f": "train", "b": "dev",
        "g": "test",
    }  # fmt: skip


def test_another_corpus_is_divided_otherwise() -> None:
    clips = table(*speakers(40))
    assert (assign_splits("mine", clips) != assign_splits("yours", clips)).any()


def test_a_border_belongs_to_the_split_behind_it() -> None:
    """Of 5, rank 3 is at exactly 0.7; of 10, rank 8 at exactly 0.85."""
    assert Counter(splits_by_speaker(table(*speakers(5))).values()) == {
        "train": 3, "dev": 1, "test": 1,
    }  # fmt: skip
    assert Counter(splits_by_speaker(table(*speakers(10))).values()) == {
        "train": 7, "dev": 1, "test": 2,
    }  # fmt: skip


def test_every_gender_and_decade_is_divided_alike() -> None:
    rows = [
        row
        for gender in ("female", "male", None)
        for age in (24.0, 34.5, None)
        for row in speakers(20, gender=gender, age=age)
    ]
    clips = table(*rows)
    clips["split"] = assign_splits("mine", clips)
    counts = clips.fillna({"gender": "-", "age_years": -1}).groupby(["gender", "age_years"])
    for _, stratum in counts["split"]:
        assert Counter(stratum) == {"train": 14, "dev": 3, "test": 3}


def test_neither_the_order_of_clips_nor_their_number_counts() -> None:
    rows = speakers(30) + speakers(30, gender="male")
    more = [row for number, row in enumerate(rows) for _ in range(number % 4 + 1)]
    assert splits_by_speaker(table(*rows)) == splits_by_speaker(table(*reversed(more)))


@pytest.mark.parametrize("number", [7, 20, 99, 100, 101, 250])
def test_one_speaker_more_moves_at_most_one_other_over_each_border(number: int) -> None:
    before = splits_by_speaker(table(*speakers(number)))
    for newcomer in range(10):
        after = splits_by_speaker(table(*speakers(number), (f"new {newcomer}", None, "female", 30)))
        moves = Counter((split, after[name]) for name, split in before.items())
        moved = {move: count for move, count in moves.items() if len(set(move)) > 1}
        assert max(moved.values(), default=0) <= 1
        assert set(moved) <= {("train", "dev"), ("dev", "train"), ("dev", "test"), ("test", "dev")}


def test_a_speaker_of_another_stratum_moves_nobody() -> None:
    rows = speakers(40) + speakers(40, gender="male")
    before = splits_by_speaker(table(*rows))
    after = splits_by_speaker(table(*rows, ("new", None, "male", 34.5)))
    women = [row[0] for row in speakers(40)]
    assert [before[name] for name in women] == [after[name] for name in women]


def test_a_hundred_thousand_speakers_are_divided_to_the_last_one() -> None:
    """Four strata of 25,000: 17,500, 3,750 and 3,750 of each."""
    number = np.arange(100_000)
    clips = pd.DataFrame(
        {
            "speaker_id": number.astype(str),
            "split": None,
            "gender": np.where(number % 2, "female", "male"),
            "age_years": np.where(number % 4 < 2, 24.0, 34.5),
        }
    )
    counts = assign_splits("mine", clips).value_counts()
    assert counts.to_dict() == {"train": 70_000, "dev": 15_000, "test": 15_000}


# Strata


def strata(*rows: Row) -> dict[str, str]:
    clips = table(*rows).rename(columns={"speaker_id": "speaker"})
    return {str(name): stratum for name, stratum in stratify_speakers(clips).items()}


def test_seven_speakers_are_a_stratum_and_six_are_pooled_with_their_gender() -> None:
    found = strata(
        *speakers(7), *speakers(6, age=44.5), *speakers(1, age=71), *speakers(7, gender="male")
    )
    assert Counter(found.values()) == {"female 3.0": 7, "female": 7, "male 3.0": 7}
    assert found["female 71 0"] == found["female 44.5 0"] == "female"


def test_those_who_are_too_few_for_their_gender_too_are_pooled_in_one() -> None:
    found = strata(
        *speakers(7), *speakers(2, age=71), *speakers(6, gender="male"), *speakers(5, gender=None)
    )
    assert Counter(found.values()) == {"female 3.0": 7, "rest": 13}


def test_a_speaker_counts_by_the_most_frequent_gender_and_the_median_age() -> None:
    """Ages 29, 31 and 60: 31. Equally often female and male: female, the first by name."""
    ann: list[Row] = [
        ("Ann", None, "male", 29), ("Ann", None, "female", 60), ("Ann", None, "female", 31),
    ]  # fmt: skip
    bo: list[Row] = [("Bo", None, "male", 35), ("Bo", None, "female", 35), ("Bo", None, None, None)]
    found = strata(*ann, *bo, *speakers(5))
    assert found["Ann"] == found["Bo"] == "female 3.0"


# Official ones


def test_an_official_split_stays_and_takes_the_speakers_other_clips_with_it() -> None:
    clips = table(
        ("Ann", None, None, None), ("Ann", "test", None, None), ("Bo", "dev", None, None),
        ("Bo", TRAIN_OR_DEV, None, None), ("Cy", "train", None, None),
    )  # fmt: skip
    assert assign_splits("mine", clips).tolist() == ["test", "test", "dev", "dev", "train"]


def test_train_or_dev_is_divided_14_to_3_and_never_test() -> None:
    """0.7 / 0.85 of 17 speakers are 14."""
    counts = Counter(splits_by_speaker(table(*speakers(17, TRAIN_OR_DEV))).values())
    assert counts == {"train": 14, "dev": 3}


def test_those_with_an_official_split_take_no_place_of_the_others() -> None:
    alone = splits_by_speaker(table(*speakers(17, TRAIN_OR_DEV)))
    tested: list[Row] = [(f"tested {number}", "test", "female", 34.5) for number in range(50)]
    found = splits_by_speaker(table(*tested, *speakers(17, TRAIN_OR_DEV)))
    assert {name: found[name] for name in alone} == alone


def test_a_speaker_of_test_who_is_in_train_or_dev_too_is_not_hidden() -> None:
    """So that the manifest can refuse it."""
    clips = table(("Ann", "test", None, None), ("Ann", TRAIN_OR_DEV, None, None))
    assert assign_splits("mine", clips).tolist() == ["test", "train"]


def test_clips_keep_their_order_and_index() -> None:
    clips = table(("Ann", "test", None, None), ("Bo", "dev", None, None))
    clips.index = pd.Index([7, 3])
    assert assign_splits("mine", clips).to_dict() == {7: "test", 3: "dev"}


def test_no_clips_have_no_splits() -> None:
    assert assign_splits("mine", table()).tolist() == []
