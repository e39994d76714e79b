"""Scores worked out by hand, and against both published versions."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor

from oragen.training.metrics import (
    ClassScores,
    group_ages,
    group_probabilities,
    score_ages,
    score_classes,
)
from tests.golden import read_json


def _class_cases(peer: str) -> list[dict[str, Any]]:
    return [case for case in read_json("functions")["metrics"][peer] if "num_classes" in case]


@pytest.mark.parametrize(("peer", "scale"), [("chimera", 1), ("orig", 100)])
def test_scores_over_classes_seen_in_either_equal_the_published_ones(
    peer: str, scale: float
) -> None:
    for case in _class_cases(peer):
        scores = score_classes(case["targets"], case["predictions"], classes="seen_in_either")
        expected = [case["uar"], case["macro_f1"], case["precision"]]
        assert scores is not None
        np.testing.assert_allclose(np.array(scores) * scale, expected, rtol=1e-6)


def test_scores_over_all_classes_equal_the_published_file_level_ones() -> None:
    for case in _class_cases("chimera"):
        all_classes = range(case["num_classes"])
        scores = score_classes(case["targets"], case["predictions"], classes=all_classes)
        expected = [case["grouped_uar"], case["grouped_macro_f1"], case["grouped_precision"]]
        np.testing.assert_allclose(np.array(scores), expected, rtol=1e-6)


def test_age_scores_equal_the_published_ones() -> None:
    case = next(case for case in read_json("functions")["metrics"]["chimera"] if "mae" in case)
    scores = score_ages(100 * np.array(case["targets"]), 100 * np.array(case["predictions"]))
    assert scores is not None
    assert scores.mae_years == pytest.approx(case["mae"], rel=1e-6)
    assert scores.pcc == pytest.approx(case["pcc"], rel=1e-6)


def test_a_class_only_predicted_does_not_count_by_default() -> None:
    # recalls 1/2 and 1; the third class was never there
    scores = score_classes([0, 0, 1], [0, 2, 1])
    # precisions 1 and 1; F1 2/3 and 1
    assert scores == pytest.approx(ClassScores(0.75, (2 / 3 + 1) / 2, 1.0))


def test_class_scores_are_those_of_scikit_learn_to_the_last_bit() -> None:
    """Five classes, of which some clips have words that nobody predicts, and the other way."""
    random = np.random.default_rng(0)
    for num_clips in (3, 17, 500):
        true = [f"class {code}" for code in random.integers(0, 4, num_clips)]
        predicted = [f"class {code}" for code in random.integers(1, 5, num_clips)]
        classes = [f"class {code}" for code in range(6)]
        scores = score_classes(true, predicted, classes=classes)
        assert scores is not None
        precision, recall, f1, _ = precision_recall_fscore_support(
            true, predicted, labels=classes, average="macro", zero_division=0.0
        )
        assert scores == ClassScores(recall, f1, precision)


@pytest.mark.parametrize("predictions", [[0, 0, 0], [0, 3, 5]])
def test_a_corpus_with_one_class_has_no_score(predictions: list[int]) -> None:
    assert score_classes([0, 0, 0], predictions) is None


@pytest.mark.parametrize(
    "targets",
    [
        ["male", None, "female", float("nan")],
        pd.Series(["male", None, "female", None]),
        [1, None, 0, float("nan")],
        [1, -1, 0, -1],
        np.array([1.0, np.nan, 0.0, np.nan]),
    ],
)
def test_unknown_labels_are_left_out(targets: Any) -> None:
    words = isinstance(targets[0], str)
    predictions = ["male", "male", "female", None] if words else [1, 1, 0, None]
    assert score_classes(targets, predictions) == ClassScores(1.0, 1.0, 1.0)


def test_nothing_known_gives_no_score() -> None:
    assert score_classes([None, -1], [0, 1]) is None
    assert score_classes([], []) is None
    assert score_ages([float("nan")], [3.0]) is None


def test_a_known_label_without_a_prediction_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 known labels have no prediction"):
        score_classes([0, 1], [0, None])
    with pytest.raises(ValueError, match="2 targets, but 1 predictions"):
        score_ages([20.0, 30.0], [20.0])


def test_age_scores_by_hand() -> None:
    # errors 10, 10, 10; perfectly correlated; variances 200/3, gap 100: 400/3 / (400/3 + 100)
    scores = score_ages([20, 30, 40, None], [30, 40, 50, 7])
    assert scores == pytest.approx((10.0, 1.0, 4 / 7))


def test_constant_ages_have_no_correlation() -> None:
    scores = score_ages([20.0, 40.0], [30.0, 30.0])
    assert scores is not None
    assert scores == (10.0, None, 0.0)
    assert score_ages([30.0], [30.0]) == (0.0, None, None)


def test_mean_and_majority_can_disagree() -> None:
    probabilities = np.array([[0.55, 0.45], [0.55, 0.45], [0.0, 1.0]])
    clip_ids = ["a", "a", "a"]
    mean = group_probabilities(clip_ids, probabilities)
    votes = group_probabilities(clip_ids, probabilities, rule="majority")
    np.testing.assert_allclose(mean.loc["a"], [1.1 / 3, 1.9 / 3])
    np.testing.assert_allclose(votes.loc["a"], [2 / 3, 1 / 3])


def test_a_tied_vote_goes_to_the_smaller_label() -> None:
    probabilities = np.array([[0.0, 1.0], [1.0, 0.0]])
    votes = group_probabilities(["a", "a"], probabilities, rule="majority")
    assert votes.to_numpy().argmax(axis=1) == [0]


def test_clips_keep_their_order_and_do_not_mix() -> None:
    ages = group_ages(["b", "a", "b"], np.array([10.0, 33.0, 20.0]))
    assert ages.index.tolist() == ["b", "a"]
    assert ages.tolist() == [15.0, 33.0]


def test_no_windows_give_no_clips() -> None:
    assert group_probabilities([], np.zeros((0, 2))).empty


@pytest.mark.parametrize("corpus", ["VOXCELEB2", "BRAVEMASKS"])
def test_clips_equal_those_of_chimera(corpus: str) -> None:
    golden = read_json("functions")["grouping"]
    expected = golden["chimera"][corpus]
    clips = _group(golden["inputs"], expected["filenames"], "mean")
    rows = pd.DataFrame(expected["rows"])
    assert clips["gender"].tolist() == rows["gen_pred"].tolist()
    assert clips["mask_type"].tolist() == rows["mask_pred"].tolist()
    np.testing.assert_allclose(clips["age_years"], rows["age_pred"], rtol=1e-6)
    gender = score_classes(rows["gen_target"], clips["gender"], classes=range(2))
    mask_type = score_classes(rows["mask_target"], clips["mask_type"], classes=range(6))
    ages = score_ages(rows["age_target"], clips["age_years"])
    found = expected["metrics"]
    assert gender is not None
    assert ages is not None
    names = ("uar", "macro_f1", "precision")
    np.testing.assert_allclose(gender, [found[f"gen_{name}"] for name in names], rtol=1e-6)
    np.testing.assert_allclose(
        np.array(mask_type), [found[f"mask_{name}"] for name in names], rtol=1e-6
    )
    assert ages.mae_years == pytest.approx(found["age_mae"], rel=1e-6)
    assert ages.pcc == pytest.approx(found["age_pcc"], rel=1e-6)


@pytest.mark.parametrize("corpus", ["VOXCELEB2", "BRAVEMASKS"])
def test_clips_equal_those_of_the_original(corpus: str) -> None:
    golden = read_json("functions")["grouping"]
    expected = golden["orig"]["without_stats"][corpus]
    clips = _group(golden["inputs"], expected["filenames"], "majority")
    assert clips["gender"].tolist() == expected["predicts"]["gen"]
    assert clips["mask_type"].tolist() == expected["predicts"]["mask"]
    np.testing.assert_allclose(clips["age_years"] / 100, expected["predicts"]["age"], rtol=1e-6)
    targets = expected["targets"]
    gender = score_classes(targets["gen"], clips["gender"], classes="seen_in_either")
    mask_type = score_classes(targets["mask"], clips["mask_type"], classes="seen_in_either")
    ages = score_ages(100 * np.array(targets["age"]), clips["age_years"])
    assert gender is not None
    assert mask_type is not None
    assert ages is not None
    assert 100 * gender.uar == pytest.approx(expected["uar_gender"], rel=1e-6)
    assert 100 * gender.macro_f1 == pytest.approx(expected["f1_gender"], rel=1e-6)
    assert 100 * gender.macro_precision == pytest.approx(expected["precision_gender"], rel=1e-6)
    assert 100 * mask_type.uar == pytest.approx(expected["uar_mask"], rel=1e-6)
    assert ages.mae_years == pytest.approx(expected["mae_age"], rel=1e-6)


def test_a_clip_equals_that_of_the_published_inference() -> None:
    for case in read_json("functions")["aggregate_windows"]:
        windows, expected = case["window_predictions"], case["result"]
        if not windows:
            continue
        labels = list(windows[0]["gender_probs"])
        probabilities = np.array([list(row["gender_probs"].values()) for row in windows])
        clip = group_probabilities(["clip"] * len(windows), probabilities).loc["clip"].to_numpy()
        ages = group_ages(["clip"] * len(windows), np.array([row["age_pred"] for row in windows]))
        assert labels[clip.argmax()] == expected["gender"]["label"]
        published = list(expected["gender"]["probabilities"].values())
        np.testing.assert_allclose(clip, published, atol=1e-6)
        assert ages["clip"] == pytest.approx(expected["age"]["value"], abs=1e-6)


def _group(inputs: dict[str, Any], filenames: list[str], rule: Any) -> pd.DataFrame:
    """Window logits -> the predicted labels of the named clips."""

    def logits(name: str) -> Tensor:
        return torch.tensor(inputs[f"{name}_logits"], dtype=torch.float64)

    clip_ids = inputs["window_file"]
    labels = {
        name: group_probabilities(clip_ids, logits(key).softmax(dim=1).numpy(), rule=rule)
        for name, key in {"gender": "gender", "mask_type": "mask"}.items()
    }
    ages = 100 * logits("age").sigmoid().numpy()
    clips = pd.DataFrame({name: rows.to_numpy().argmax(axis=1) for name, rows in labels.items()})
    grouped = group_ages(clip_ids, ages, round_to_years=rule == "majority")
    return clips.set_axis(grouped.index).assign(age_years=grouped).loc[filenames]
