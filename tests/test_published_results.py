"""What others published, found by corpus, split and measure."""

from collections import Counter

import pytest
from pydantic import TypeAdapter

from oragen.config.corpora import Corpus
from oragen.reporting.published_results import PUBLISHED, find_mask_influence, find_published

ONLY_OURS = {"generated", "csv"}


def find(reader: str, split: str, measure: str) -> dict[str, float]:
    return {score.method: score.value for score in find_published(reader, split, measure)}


def test_numbers_stand_as_they_were_published() -> None:
    """UAR as shares, errors in years, devel of aGender and Val of AFEW as test."""
    assert find("timit", "test", "age_mae_years") == {
        "Burkhardt et al. 2023": 7.10, "ORAGEN, wav2vec 2.0": 6.90, "ORAGEN, HuBERT": 7.00,
    }  # fmt: skip
    assert find("agender", "test", "gender_uar") == {
        "Burkhardt et al. 2023": 0.8615, "ORAGEN, wav2vec 2.0": 0.8717, "ORAGEN, HuBERT": 0.8699,
    }  # fmt: skip
    assert find("afew", "test", "gender_uar") == {
        "MiVOLO (Kuprashevich 2023)": 0.946, "ORAGEN, SDPSA": 0.9516, "ORAGEN, GSA": 0.9541,
    }  # fmt: skip
    assert find("imdb_clean", "dev", "age_mae_years") == {
        "MiVOLO (Kuprashevich 2023)": 3.48, "ORAGEN, SDPSA": 5.23, "ORAGEN, GSA": 5.03,
    }  # fmt: skip
    assert find("brave_masks", "test", "mask_type_uar") == {"ORAGEN, with mask type": 0.9587}


def test_all_ten_methods_of_voxceleb2_are_there() -> None:
    ages = find("voxceleb2", "test", "age_mae_years")
    assert list(ages.values()) == [10.31, 9.91, 10.34, 7.32, 5.97, 6.59, 5.80, 5.68, 6.51, 5.42]


def test_results_are_chosen_by_modality() -> None:
    found = find_published("brave_masks", "test", "gender_uar", modality="audio_visual")
    assert [score.value for score in found] == [0.948, 0.9495, 0.9721, 0.9663]
    assert find_published("timit", "test", "gender_uar", modality="face") == []


@pytest.mark.parametrize(
    ("reader", "split", "measure"),
    [
        ("generated", "test", "gender_uar"),
        ("timit", "dev", "gender_uar"),
        ("lagenda", "test", "gender_uar"),  # the split is ours
        ("voxceleb2", "test", "mask_type_uar"),  # one class
        ("timit", "test", "age_interval_error_years"),
    ],
)
def test_what_cannot_stand_beside_ours_has_no_result(reader: str, split: str, measure: str) -> None:
    assert find_published(reader, split, measure) == []


def test_scores_by_mask_type_are_those_of_the_corpus_that_has_them() -> None:
    assert find_mask_influence("brave_masks", "test", "gender_uar", "audio") == {
        "all": 0.9398, "none": 0.9833, "tissue": 0.9677, "medical": 0.9475, "ffp": 0.978,
        "respirator": 0.8861, "shield": 0.89,
    }  # fmt: skip
    ages = find_mask_influence("brave_masks", "test", "age_mae_years", "face")
    assert ages is not None
    assert list(ages.values()) == [8.98, 5.92, 8.78, 12.29, 11.06, 19.87, 6.62]
    assert find_mask_influence("brave_masks", "dev", "age_mae_years", "face") is None
    assert find_mask_influence("timit", "test", "age_mae_years", "audio") is None
    assert find_mask_influence("brave_masks", "test", "mask_type_uar", "face") is None


def test_by_mask_type_all_is_what_is_published_of_that_head() -> None:
    """The tables of the source agree with each other."""
    for measure in ("gender_uar", "age_mae_years"):
        influence = find_mask_influence("brave_masks", "test", measure, "audio_visual")
        assert influence is not None
        known = find("brave_masks", "test", measure)
        assert influence["all"] == known["ORAGEN, intermediate fusion"]


def test_only_common_voice_is_marked_as_divided_in_another_way() -> None:
    others = {score.reader for score in PUBLISHED if not score.same_split}
    assert others == {"common_voice"}
    assert all(not score.same_split for score in PUBLISHED if score.reader == "common_voice")


def test_every_number_is_plausible_says_whose_it_is_and_is_there_once() -> None:
    for score in PUBLISHED:
        low, high = (3, 15) if score.measure == "age_mae_years" else (0.8, 1.0)
        assert low <= score.value <= high, score
        assert "doi" in score.source or "arXiv" in score.source
    places = Counter((s.method, s.reader, s.split, s.measure) for s in PUBLISHED)
    assert set(places.values()) == {1}


def test_corpora_are_named_as_their_readers() -> None:
    """So that a misspelt one would not stay without results unseen."""
    readers = set(TypeAdapter(Corpus).json_schema()["discriminator"]["mapping"])
    named = {score.reader for score in PUBLISHED}
    trained = {reader for score in PUBLISHED for reader in score.trained_on}
    assert named | trained == readers - ONLY_OURS
