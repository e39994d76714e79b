"""On whom a model was trained -> the warnings of its predictions."""

from dataclasses import replace

import pandas as pd
import pytest

from oragen.schema.names import MAX_SHOWN
from oragen.training.model_warnings import MIN_SPEAKERS, warn_of_age, warn_of_model
from oragen.training.training_data import (
    TrainingCorpus,
    TrainingData,
    from_json,
    summarise,
)

DRAWN = TrainingCorpus("studio", num_speakers=150, num_clips=900, generated=True)
REAL = TrainingCorpus("mine", num_speakers=MIN_SPEAKERS, num_clips=300, generated=False)


def test_speakers_clips_and_ages_of_training_are_counted_for_each_corpus() -> None:
    table = pd.DataFrame(
        [
            ("a/1", "a", "x", 20.0), ("a/1", "a", "x", 20.0), ("a/2", "a", "y", 71.5),
            ("b/1", "b", "x", None),
        ],
        columns=["clip_id", "corpus", "speaker_id", "age_years"],
    ).assign(has_window=True)  # fmt: skip
    lost = {"clip_id": "a/3", "corpus": "a", "speaker_id": "z", "age_years": 90.0}
    table = pd.concat([table, pd.DataFrame([lost | {"has_window": False}])])
    found = summarise(table, {"a": True})
    assert found == TrainingData(
        (TrainingCorpus("a", 2, 2, True), TrainingCorpus("b", 1, 1, None)), 20.0, 71.5
    )
    assert from_json(found.as_json()) == found
    assert summarise(table[table["corpus"] == "b"], {}).youngest_years is None


def test_a_model_of_generated_people_says_so() -> None:
    [warning] = warn_of_model(TrainingData((DRAWN, replace(DRAWN, name="phone"))))
    assert warning == (
        "This model knows generated people only: drawn faces and synthetic voices (300 speakers of "
        "studio, phone). Do not trust it on real people."
    )
    [warning] = warn_of_model(TrainingData((DRAWN, REAL)))
    assert "generated people, too" in warning
    assert "150 speakers of studio)" in warning


def test_a_model_of_few_people_says_so() -> None:
    assert warn_of_model(TrainingData((REAL,))) == []
    [warning] = warn_of_model(TrainingData((replace(REAL, num_speakers=MIN_SPEAKERS - 1),)))
    assert "trained on 99 speakers of mine" in warning


def test_of_many_corpora_some_are_named() -> None:
    """Names may come from elsewhere, and stand in every prediction."""
    names = tuple(TrainingCorpus(f"{number} " + "x" * 900, 1, 1, False) for number in range(50))
    [warning] = warn_of_model(TrainingData(names))
    assert "and 41 more" in warning
    assert len(warning) < 10 * MAX_SHOWN


def test_ages_of_training_are_whole_years_within_them() -> None:
    training = TrainingData((REAL,), 20.4, 71.5)
    assert warn_of_age(20.5, training) == warn_of_age(71.5, training) == []
    assert warn_of_age(20.3, training) == [
        "The age of 20.3 is outside the ages of training, 21 to 71."
    ]


def test_a_number_that_is_not_known_is_not_called_few() -> None:
    assert warn_of_model(TrainingData((replace(REAL, num_speakers=None), REAL))) == []


@pytest.mark.parametrize("training", [None, TrainingData(())])
def test_a_model_that_does_not_say_on_whom_it_was_trained_says_that(
    training: TrainingData | None,
) -> None:
    assert warn_of_model(training) == ["This model does not say on whom it was trained."]
    assert warn_of_model(training, ["phone", "studio"]) == [
        "This model does not say on whom it was trained, only names of corpora: phone, studio."
    ]
