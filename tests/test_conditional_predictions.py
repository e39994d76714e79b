"""A predictor gives the interval and the sets of the clip's condition."""

from pathlib import Path

import numpy as np
import pytest

from oragen.predictor import Prediction, Predictor
from oragen.predictor.output import describe, flatten
from oragen.training.conformal import Conformal, Threshold
from tests.prediction_schema import SCHEMA, problems
from tests.small_models import add_familiarity, change_metadata, make_sound, write_model

CONFORMAL = Conformal(
    0.8,
    {
        "all": {"age": Threshold(20.0, 90), "mask_type": Threshold(0.0, 90)},
        "audio_visual": {"age": Threshold(5.0, 40), "gender": Threshold(1.0, 40)},
        "audio": {"age": Threshold(9.0, 41)},
    },
)
FACES = list(np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_model(tmp_path_factory.mktemp("model"))
    change_metadata(folder, conformal=CONFORMAL.as_json())
    return folder


@pytest.fixture(scope="module")
def predictions(model: Path) -> dict[str, Prediction]:
    predictor = Predictor.from_pretrained(model, device="cpu")
    sound = make_sound()
    return {
        "both": predictor.predict(audio=sound, faces=FACES),
        "voice": predictor.predict(audio=sound),
        "face": predictor.predict(faces=FACES),
    }


@pytest.mark.parametrize(
    ("given", "condition", "half_width", "clips"),
    [("both", "audio_visual", 5.0, 40), ("voice", "audio", 9.0, 41), ("face", "all", 20.0, 90)],
)
def test_the_interval_is_that_of_what_the_clip_is_predicted_from(
    predictions: dict[str, Prediction], given: str, condition: str, half_width: float, clips: int
) -> None:
    age = predictions[given].age
    assert age is not None
    assert (age.condition, age.condition_clips, age.coverage) == (condition, clips, 0.8)
    assert age.interval is not None
    assert age.interval[1] - age.value == pytest.approx(half_width)
    assert age.fixed_interval is not None
    assert age.fixed_interval[1] - age.value == pytest.approx(7.25)


def test_sets_name_what_the_clip_does_not_decide(predictions: dict[str, Prediction]) -> None:
    both, voice = predictions["both"], predictions["voice"]
    assert both.gender is not None
    assert both.gender.label_set == ("female", "male")
    other = {"female": "male", "male": "female"}[both.gender.label]
    assert describe(both)[0].endswith(f"% (or {other})")
    assert flatten(both)["gender_set"] == "female male"
    assert voice.gender is not None
    assert voice.gender.label_set is None  # neither its condition nor all clips have a threshold
    assert voice.mask_type is not None
    assert voice.mask_type.label_set == (voice.mask_type.label,)
    for prediction in predictions.values():
        assert problems(prediction.to_dict(), SCHEMA) == []


def test_an_unfamiliar_clip_has_neither(model: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    change_metadata(folder, conformal=CONFORMAL.as_json())
    add_familiarity(folder, limit=1e-3)
    prediction = Predictor.from_pretrained(folder, device="cpu").predict(audio=make_sound())
    assert prediction.unfamiliar
    assert prediction.age is not None
    assert prediction.mask_type is not None
    assert prediction.age.interval is prediction.age.fixed_interval is None
    assert prediction.mask_type.label_set is None


def test_a_head_of_an_earlier_version_gives_the_interval_that_all_clips_share(
    tmp_path: Path,
) -> None:
    predictor = Predictor.from_pretrained(write_model(tmp_path / "model"), device="cpu")
    prediction = predictor.predict(audio=make_sound())
    assert prediction.age is not None
    assert prediction.gender is not None
    assert prediction.age.interval == prediction.age.fixed_interval
    assert (prediction.age.condition, prediction.gender.label_set) == (None, None)
