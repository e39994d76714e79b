"""Counts of a clips table, by hand."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from oragen.corpora.corpus_card import CorpusCard, Statistics
from oragen.corpora.statistics import (
    Comparison,
    compare_with_published,
    count_clips,
    find_oddities,
)
from oragen.schema.ages import band_ages
from oragen.schema.tables import CLIPS
from oragen.schema.vocabulary import Skipped


def clip(number: int, split: str, speaker: str, **labels: Any) -> dict[str, object]:
    return {
        "clip_id": f"c/{number}", "corpus": "c", "split": split, "speaker_id": speaker, **labels,
    }  # fmt: skip


@pytest.fixture
def clips() -> pd.DataFrame:
    return CLIPS.frame(
        [
            clip(0, "train", "a", gender="female", age_years=17.9),
            clip(1, "train", "a", gender="female", age_years=18.0),
            clip(2, "train", "b", gender="male", age_years=60.0),
            clip(3, "test", "c", mask_type="ffp"),
        ]
    )


CARD = CorpusCard("C", "audio", "gender, age, mask type", "none", "none", "none", "none")


def test_a_table_that_loses_what_it_says_is_odd() -> None:
    table = CLIPS.frame([clip(number, "train", str(number), gender="male") for number in range(4)])
    lost = [Skipped(f"c/{number}", "index_clips", "no such file") for number in range(4, 9)]
    unlabelled = [Skipped(f"c/{number}", "index_clips", "no label") for number in range(9, 99)]
    oddities = list(find_oddities(table, lost + unlabelled, CARD))
    assert [oddity.split(".")[0] for oddity in oddities] == [
        "5 of 9 listed clips are skipped",
        "No clip has a label of age, so the corpus does not train it",
        "No clip has a label of mask type, so the corpus does not train it",
        "There are about as many speakers as clips: 4 of 4",
        "All clips of train with a gender are male",
    ]


def test_a_split_of_one_speaker_is_odd(clips: pd.DataFrame) -> None:
    assert list(find_oddities(clips, [], CARD)) == ["All 1 clips of test are of one speaker."]


def test_labels_that_the_corpus_does_not_promise_are_not_missed(clips: pd.DataFrame) -> None:
    sounds = clips[clips["split"] == "train"].assign(mask_type=None)
    assert not list(find_oddities(sounds, [], replace(CARD, labels="gender, age")))


def test_ages_are_in_bands_with_the_start_included() -> None:
    ages = pd.Series([0.0, 17.9, 18.0, 44.9, 45.0, 59.0, 60.0, 99.0, None])
    assert band_ages(ages).tolist() == [
        "under 18", "under 18", "18-29", "30-44", "45-59", "45-59", "60 and over", "60 and over",
        None,
    ]  # fmt: skip


def test_clips_are_counted_by_split_and_label(clips: pd.DataFrame) -> None:
    counts = {key: row.tolist() for key, row in count_clips(clips).iterrows()}
    assert counts == {
        ("clips", "all"): [3, 0, 1, 4],
        ("speakers", "all"): [2, 0, 1, 3],
        ("gender", "female"): [2, 0, 0, 2],
        ("gender", "male"): [1, 0, 0, 1],
        ("gender", "unknown"): [0, 0, 1, 1],
        ("age", "under 18"): [1, 0, 0, 1],
        ("age", "18-29"): [1, 0, 0, 1],
        ("age", "60 and over"): [1, 0, 0, 1],
        ("age", "unknown"): [0, 0, 1, 1],
        ("mask_type", "ffp"): [0, 0, 1, 1],
        ("mask_type", "unknown"): [3, 0, 0, 3],
    }


def test_published_figures_are_beside_those_of_the_table(clips: pd.DataFrame) -> None:
    """Mean of 17.9, 18 and 60 is 31.97; what is not published is not compared."""
    published = Statistics(
        source="a paper",
        clips=1000,
        by_gender={"female": 12, "male": 3},
        age_range_years=(18, 75),
        age_mean_years=29.94,
    )
    assert compare_with_published(clips, published) == [
        Comparison("clips", "1,000", "4"),
        Comparison("female speakers", "12", "1"),
        Comparison("male speakers", "3", "1"),
        Comparison("ages, years", "18-75", "18-60"),
        Comparison("mean age, years", "29.9", "32.0"),
    ]


def test_clips_of_each_gender_are_counted_where_clips_are_published(clips: pd.DataFrame) -> None:
    published = Statistics(source="a paper", counted="clips", by_gender={"female": 5})
    assert compare_with_published(clips, published) == [Comparison("female clips", "5", "2")]
