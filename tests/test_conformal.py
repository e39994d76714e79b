"""Intervals and sets by condition: by hand, and by simulation within the binomial band."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Task
from oragen.training.calibration import conformal_half_width
from oragen.training.conformal import (
    NO_CONFORMAL,
    AgeScale,
    Conformal,
    Threshold,
    describe_doubt,
    read_conformal,
)
from oragen.training.conformal_fit import MIN_CLIPS, fit_conformal, fit_scale

DEVIATIONS_YEARS = {  # of the errors, by what a clip is predicted from and its predicted mask type
    ("audio_visual", "none"): 3.0, ("audio_visual", "medical"): 6.0, ("audio", "none"): 12.0,
}  # fmt: skip


def draw(num_clips: int, seed: int, *, by_age: float = 0.0) -> pd.DataFrame:
    """Draw as many clips of each condition, each of a speaker of its own.

    The errors of the old grow by a factor `by_age` a century.
    """
    generator = np.random.default_rng(seed)
    blocks = []
    for (modalities, mask_type), deviation in DEVIATIONS_YEARS.items():
        predicted = generator.uniform(15, 85, num_clips)
        errors = generator.laplace(0, deviation, num_clips) * (1 + by_age * predicted / 100)
        female = generator.beta(0.6, 0.6, num_clips)  # the probability, and how often it is right
        numbers = [f"{modalities}-{mask_type}-{number}" for number in range(num_clips)]
        blocks.append(
            pd.DataFrame(
                {
                    "clip_id": numbers, "corpus": "x", "speaker_id": numbers,
                    "modalities_used": modalities,
                    "age_years": predicted + errors, "predicted_age_years": predicted,
                    "gender": np.where(generator.random(num_clips) < female, "female", "male"),
                    "predicted_gender": np.where(female >= 0.5, "female", "male"),
                    "gender_female": female, "gender_male": 1 - female,
                    "mask_type": mask_type, "predicted_mask_type": mask_type,
                    "mask_type_none": 0.5, "mask_type_medical": 0.5,
                }
            )
        )  # fmt: skip
    return pd.concat(blocks, ignore_index=True)


def holds_age(clips: pd.DataFrame, half_width: "pd.Series[float] | float") -> "pd.Series[bool]":
    return (clips["age_years"] - clips["predicted_age_years"]).abs() <= half_width


def band(num_dev: int, num_test: int, level: float) -> float:
    """Three and a half deviations of a share of test clips, with the threshold's own chance."""
    return float(3.5 * np.sqrt(level * (1 - level) * (1 / num_dev + 1 / num_test)))


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("by_age", [0.0, 3.0])
def test_each_condition_is_covered_at_the_level_and_one_width_for_all_is_not(
    level: float, by_age: float
) -> None:
    dev, test = draw(1000, 1, by_age=by_age), draw(2000, 2, by_age=by_age)
    conformal = fit_conformal(dev, coverage=level)
    applied = conformal.apply(test)
    errors = (dev["age_years"] - dev["predicted_age_years"]).abs().to_numpy()
    fixed = conformal_half_width(errors, level)
    assert fixed is not None
    of_fixed = []
    for (modalities, mask_type), clips in test.groupby(["modalities_used", "predicted_mask_type"]):
        found = applied.loc[clips.index]
        assert set(found["age_condition"]) == {f"{modalities}, {mask_type}"}
        assert set(found["age_condition_clips"]) == {1000}
        held = holds_age(clips, found["age_conditional_half_width_years"])
        assert held.mean() == pytest.approx(level, abs=band(1000, 2000, level))
        sets = found["set_of_gender"].str.split(", ")
        in_set = [label in labels for label, labels in zip(clips["gender"], sets, strict=True)]
        assert np.mean(in_set) == pytest.approx(level, abs=band(1000, 2000, level))
        of_fixed.append(holds_age(clips, fixed).mean())
    assert max(of_fixed) - min(of_fixed) > 0.15


def test_where_errors_grow_with_age_the_old_have_wider_intervals_that_hold() -> None:
    dev, test = draw(1000, 1, by_age=3.0), draw(2000, 2, by_age=3.0)
    adaptive = fit_conformal(dev, coverage=0.9)
    constant = Conformal(0.9, _without_scale(dev))
    young = test["predicted_age_years"] < 30
    gaps = {}
    for name, conformal in {"adaptive": adaptive, "constant": constant}.items():
        width = conformal.apply(test)["age_conditional_half_width_years"]
        held = holds_age(test, width)
        gaps[name] = held[young].mean() - held[~young].mean()
        if name == "adaptive":
            assert width[test["predicted_age_years"] > 70].mean() > 1.4 * width[young].mean()
    assert abs(gaps["adaptive"]) < 0.4 * abs(gaps["constant"])


def _without_scale(dev: pd.DataFrame) -> dict[str, dict[Task, Threshold]]:
    """Work out the plain thresholds of each condition."""
    thresholds: dict[str, dict[Task, Threshold]] = {}
    for (modalities, mask_type), clips in dev.groupby(["modalities_used", "predicted_mask_type"]):
        errors = (clips["age_years"] - clips["predicted_age_years"]).abs().to_numpy()
        half_width = conformal_half_width(errors, 0.9)
        assert half_width is not None
        thresholds[f"{modalities}, {mask_type}"] = {"age": Threshold(half_width, len(clips))}
    return thresholds


def by_rank(num_clips: int, **columns: object) -> pd.DataFrame:
    """Clips whose errors are 1, 2, 3, ... years, all with the same prediction otherwise."""
    numbers = [f"clip-{number}" for number in range(num_clips)]
    return pd.DataFrame(
        {
            "clip_id": numbers, "corpus": "x", "speaker_id": numbers,
            "modalities_used": "audio", "age_years": 40 + np.arange(1.0, num_clips + 1),
            "predicted_age_years": 40.0, "gender": "female", "predicted_gender": "female",
            "gender_female": 0.75, "gender_male": 0.25,
        }
    ).assign(**columns)  # fmt: skip


def test_thresholds_by_hand() -> None:
    """Of 39 clips the 36th smallest counts: ceil(40 x 0.9). Too few for a scale."""
    conformal = fit_conformal(by_rank(39), coverage=0.9)
    assert conformal.age_scale is None
    for condition in ("all", "audio"):
        assert conformal.thresholds[condition] == {
            "age": Threshold(36.0, 39), "gender": Threshold(0.25, 39)
        }  # fmt: skip


def test_a_condition_with_few_clips_or_few_speakers_takes_a_wider_one() -> None:
    """29 clips with a medical mask, and 30 without one, 30 with a shield of 9 speakers."""
    dev = pd.concat(
        [
            by_rank(MIN_CLIPS - 1, predicted_mask_type="medical"),
            by_rank(MIN_CLIPS, predicted_mask_type="none"),
            by_rank(MIN_CLIPS, predicted_mask_type="shield").assign(
                speaker_id=lambda rows: [str(number % 9) for number in range(len(rows))]
            ),
            by_rank(3, modalities_used="audio_visual", predicted_mask_type="none"),
        ],
        ignore_index=True,
    )
    conformal = fit_conformal(dev.assign(clip_id="one"), coverage=0.9)  # one clip: no scale
    assert set(conformal.thresholds) == {"all", "audio", "audio, none"}
    conditions = {
        (modalities, mask_type): conformal.find("age", modalities, mask_type)
        for modalities in ("audio", "audio_visual", "face")
        for mask_type in ("none", "medical", None)
    }
    names = {place: found.condition for place, found in conditions.items() if found}
    assert names["audio", "none"] == "audio, none"
    assert names["audio", "medical"] == "audio"
    assert names["audio", None] == "audio"
    assert names["audio_visual", "none"] == names["face", None] == "all"


def test_clips_with_a_modality_hidden_stand_for_those_that_lack_it() -> None:
    widest = by_rank(39, modalities_used="audio_visual")
    alone = pd.concat([by_rank(39, modalities_used=name) for name in ("audio", "face")])
    alone["age_years"] += 100
    conformal = fit_conformal(widest, alone, coverage=0.9)
    assert conformal.thresholds["all"]["age"].clips == 39
    scores = {name: of["age"].score for name, of in conformal.thresholds.items()}
    assert scores["audio"] == scores["face"] > 2 * scores["audio_visual"]


def test_sets_hold_labels_within_the_threshold_and_always_the_likeliest() -> None:
    clips = by_rank(3).assign(
        gender_female=[0.9, 0.6, 0.3], gender_male=[0.1, 0.4, 0.7],
        predicted_gender=["female", "female", "male"],
    )  # fmt: skip
    wide = Conformal(0.9, {"all": {"gender": Threshold(0.65, 39)}})
    assert wide.apply(clips)["set_of_gender"].tolist() == ["female", "female, male", "male"]
    narrow = Conformal(0.9, {"all": {"gender": Threshold(0.05, 39)}})
    assert narrow.apply(clips)["set_of_gender"].tolist() == ["female", "female", "male"]


def test_a_scale_is_known_errors_explained_within_limits() -> None:
    """Errors of a tenth of the predicted age; the scale is 1 where the error is the mean."""
    predicted = np.linspace(20, 60, 41)
    clips = by_rank(41, predicted_age_years=predicted, age_years=predicted * 1.1)
    scale = fit_scale(clips)
    assert scale is not None
    assert scale.mean_years == pytest.approx(4.0)
    assert scale.predict(clips) == pytest.approx(predicted / 40)
    assert AgeScale((100.0, 0.0, 0.0, 0.0), 4.0).predict(clips) == pytest.approx(2.0)
    assert AgeScale((-100.0, 0.0, 0.0, 0.0), 4.0).predict(clips) == pytest.approx(0.5)


def test_doubt_is_known_of_any_clip() -> None:
    found = describe_doubt(by_rank(1, predicted_age_years=50.0))
    assert found.tolist() == [[1.0, 0.5, 0.25, 0.25]]


def test_clips_without_a_prediction_and_heads_without_thresholds_get_nothing() -> None:
    clips = by_rank(2)
    clips.loc[0, ["predicted_age_years", "predicted_gender"]] = [np.nan, None]
    conformal = fit_conformal(by_rank(39), coverage=0.9)
    applied = conformal.apply(clips)
    assert applied.loc[0].isna().all()
    assert applied.loc[1].notna().sum() == 4  # all but the mask type, which is not predicted
    assert NO_CONFORMAL.apply(clips).isna().all(axis=None)
    assert conformal.apply(clips.iloc[:0]).empty


def test_what_dev_teaches_survives_json() -> None:
    conformal = fit_conformal(draw(60, 0), coverage=0.9)
    assert conformal.age_scale is not None
    assert read_conformal(json.loads(json.dumps(conformal.as_json()))) == conformal
    assert read_conformal(None) == NO_CONFORMAL


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"coverage": 2}, "coverage"),
        ({"thresholds": {"all": {"age": {"score": -1.0, "clips": 9}}}}, "thresholds.all.age.score"),
        ({"thresholds": {"all": {"height": {"score": 1.0, "clips": 9}}}}, "thresholds.all.height"),
        ({"age_scale": {"weights": [1.0], "mean_years": 3.0}}, "age_scale.weights"),
        ({"age_scale": {"weights": [1.0] * 4, "mean_years": 0.0}}, "age_scale.mean_years"),
        ({"more": 1}, "more"),
    ],
)
def test_thresholds_that_cannot_be_are_refused(change: dict[str, object], what: str) -> None:
    saved = fit_conformal(by_rank(39), coverage=0.9).as_json() | change
    with pytest.raises(UserError, match=rf"wrong metadata\.conformal: {what}"):
        read_conformal(saved, Path("head"))
