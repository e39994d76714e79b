"""What `oragen predict` writes fits prediction.schema.json, which refuses what is none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.predict_command import read_json, run, write_clips
from tests.prediction_schema import SCHEMA, problems
from tests.small_models import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a talking head, its sound, its pictures, a still of it, and what is no use."""
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def predictions(
    model: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Real predictions of each kind, by the name of the clip, and one without mask types."""
    bare = save_model(tmp_path_factory.mktemp("bare"), with_mask_types=False)
    names = ("talk.mp4", "voice.mp4", "mute.mp4", "still.png", "nobody.mp4", "broken.mp4", "gone")
    out = tmp_path_factory.mktemp("out") / "all.jsonl"
    run(*(clips / name for name in names), "--model", model, "-o", out)
    written = {
        name: json.loads(line)
        for name, line in zip(names, out.read_text().splitlines(), strict=True)
    }
    run(clips / "voice.mp4", "--model", bare, "-o", out.with_name("one.json"))
    return written | {"no mask types": read_json(out.with_name("one.json"))}


def test_every_kind_of_prediction_fits_the_schema(predictions: dict[str, Any]) -> None:
    for name, prediction in predictions.items():
        assert problems(prediction, SCHEMA) == [], name
    used = {
        name: (
            prediction["modalities"]["audio"]["usable"],
            prediction["modalities"]["face"]["usable"],
        )
        for name, prediction in predictions.items()
    }
    assert used == {
        "talk.mp4": (True, True), "voice.mp4": (True, False), "mute.mp4": (False, True),
        "still.png": (False, True), "nobody.mp4": (False, False), "broken.mp4": (False, False),
        "gone": (False, False), "no mask types": (True, False),
    }  # fmt: skip
    assert predictions["no mask types"]["mask_type"] is None


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "prediction: extra is not known": lambda item: item.update(extra=1),
    "prediction: required": lambda item: item.pop("notes"),
    "prediction.status: enum": lambda item: item.update(status="fine"),
    "prediction.age.value: '40' is no number": lambda item: item["age"].update(value="40"),
    "prediction.age.interval: minItems 2": lambda item: item["age"]["interval"].pop(),
    "prediction.windows[0].index: minimum 0": lambda item: item["windows"][0].update(index=-1),
    "prediction.gender.probabilities.male: maximum 1": lambda item: item["gender"][
        "probabilities"
    ].update(male=1.5),
    "prediction.faces[0].box: maxItems 4": lambda item: item["faces"][0]["box"].append(1),
}


@pytest.mark.parametrize("problem", CHANGES)
def test_the_schema_refuses_what_is_no_prediction(
    predictions: dict[str, Any], problem: str
) -> None:
    prediction = json.loads(json.dumps(predictions["talk.mp4"]))
    CHANGES[problem](prediction)
    assert any(found.startswith(problem) for found in problems(prediction, SCHEMA))
