"""Examples -> a fine-tuned model: it learns, always the same, or says why it cannot."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oragen.finetuning.learner import Learner
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import GENDERS
from oragen.training.history import DivergedError
from oragen.training.losses import TaskWeights
from oragen.training.scoring import (
    WindowPredictions,
    group_predictions,
    join_labels,
    score_clips,
    selection_score,
)
from tests.finetuning_runs import (
    OPTIONS,
    Tables,
    Trained,
    crops,
    make_audio_model,
    make_face_model,
    make_learner,
    sounds,
    take,
    train,
    weights_of,
    write_tables,
)

LEARNING = replace(OPTIONS, max_epochs=14, patience=14, learning_rate=0.003)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return write_tables(tmp_path_factory.mktemp("stores"))


# What it learns


@pytest.fixture(scope="module")
def trained(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(
        make_face_model(), crops(tables["crops_train"]), crops(tables["crops_dev"]),
        tmp_path_factory.mktemp("trained") / "state.ckpt", LEARNING,
    )  # fmt: skip


def test_a_problem_that_can_be_learned_is_learned(trained: Trained) -> None:
    first, best = trained.history[0], max(trained.history, key=lambda epoch: epoch.dev_score)
    assert best.dev_score > 0.8
    assert first.dev_score < best.dev_score - 0.2
    assert trained.history[-1].train_loss < first.train_loss / 2


def test_the_best_epoch_s_weights_are_left_ready_for_use(trained: Trained, tables: Tables) -> None:
    """Scored clip by clip: two crops a clip, whose probabilities are averaged."""
    dev = crops(tables["crops_dev"])
    of_crops = make_learner(trained.model).predict(
        [take(dev, range(20)), take(dev, range(20, 36))], num_examples=36
    )
    assert not trained.model.training
    predictions = group_predictions(dev.table["clip_id"], of_crops, genders=GENDERS)
    assert predictions["num_windows"].tolist() == [2] * 18
    score = selection_score(score_clips(join_labels(predictions, dev.table)))
    scores = [epoch.dev_score for epoch in trained.history]
    assert score == pytest.approx(max(scores), abs=1e-6)
    assert scores[-1] < max(scores)  # or the last epoch's would do as well


def test_patience_ends_what_does_not_get_better(tables: Tables, tmp_path: Path) -> None:
    options = replace(
        OPTIONS, learning_rate=1e-12, weight_decay=0.0, max_epochs=9, patience=2, batch_size=32
    )
    examples, dev = crops(tables["crops_train"]), crops(tables["crops_dev"])
    history = train(make_face_model(), examples, dev, tmp_path / "c", options).history
    assert [epoch.epoch for epoch in history] == [1, 2, 3]


def test_what_is_frozen_stays_and_the_rest_moves(tables: Tables, tmp_path: Path) -> None:
    model, options = make_audio_model(), replace(OPTIONS, max_epochs=1)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    train(
        model, sounds(tables["sounds_train"]), sounds(tables["sounds_dev"]), tmp_path / "c", options
    )
    moved = {
        name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])
    }
    assert not [name for name in moved if "feature_extractor" in name]
    assert "encoder.encoder.layers.0.attention.q_proj.weight" in moved
    assert "decisions.gender.weight" in moved


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    tables: Tables, tmp_path: Path
) -> None:
    examples, dev = sounds(tables["sounds_train"]), sounds(tables["sounds_dev"])
    options = replace(OPTIONS, max_epochs=1)
    results = []
    for number, seed in enumerate((0, 0, 1)):
        model = make_audio_model()
        torch.manual_seed(number)  # what was drawn before does not count
        np.random.seed(number)  # noqa: NPY002
        train(model, examples, dev, tmp_path / f"{number}", options, seed=seed)
        results.append(weights_of(model))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_training_that_diverges_says_so(tables: Tables, tmp_path: Path) -> None:
    examples, dev = crops(tables["crops_train"]), crops(tables["crops_dev"])
    with pytest.raises(DivergedError, match=r"epoch 1: .* Lower its learning_rate \(1e\+30\)"):
        train(
            make_face_model(), examples, dev, tmp_path / "c", replace(OPTIONS, learning_rate=1e30)
        )


def test_a_model_that_predicts_no_numbers_for_dev_is_divergence(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, dev = crops(tables["crops_train"]), crops(tables["crops_dev"])
    predict = Learner.predict

    def predict_nothing(self: Learner, *arguments: Any, **options: Any) -> WindowPredictions:
        predictions = predict(self, *arguments, **options)
        return predictions._replace(age_years=predictions.age_years * math.nan)

    monkeypatch.setattr(Learner, "predict", predict_nothing)
    with pytest.raises(DivergedError, match="its predictions are not finite"):
        train(make_face_model(), examples, dev, tmp_path / "c", OPTIONS)


# What cannot be learned


@pytest.mark.parametrize(
    ("split", "columns", "message"),
    [
        ("train", {"gender": "male"}, "All examples to learn from have the gender male"),
        ("train", {"mask_type": "none"}, "have the mask_type none.*weight of this task to 0"),
        (
            "train",
            {"gender": None, "age_years": None, "mask_type": None},
            "None of the 60 .* label",
        ),
        ("dev", {"gender": "male", "age_years": 3.0, "mask_type": None}, "No dev example"),
    ],
)
def test_labels_that_teach_nothing_are_refused(
    tables: Tables, tmp_path: Path, split: str, columns: dict[str, object], message: str
) -> None:
    changed = tables | {f"crops_{split}": tables[f"crops_{split}"].assign(**columns)}
    with pytest.raises(UserError, match=message):
        train(
            make_face_model(), crops(changed["crops_train"]), crops(changed["crops_dev"]),
            tmp_path / "c",
        )  # fmt: skip


@pytest.mark.parametrize("split", ["train", "dev"])
def test_no_example_at_all_is_refused(tables: Tables, tmp_path: Path, split: str) -> None:
    changed = tables | {f"crops_{split}": tables[f"crops_{split}"].iloc[:0]}
    with pytest.raises(UserError, match=f"no example of the split `{split}`"):
        train(
            make_face_model(), crops(changed["crops_train"]), crops(changed["crops_dev"]),
            tmp_path / "c",
        )  # fmt: skip


def test_one_class_is_no_matter_where_its_task_does_not_count(
    tables: Tables, tmp_path: Path
) -> None:
    bare = crops(tables["crops_train"].assign(mask_type="none"))
    options = replace(OPTIONS, max_epochs=1, batch_size=32, task_weights=TaskWeights(mask_type=0.0))
    train(make_face_model(), bare, crops(tables["crops_dev"]), tmp_path / "c", options)
