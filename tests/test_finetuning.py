"""Examples -> a fine-tuned model: it learns, and ends the same killed or not, shared or alone."""

import errno
import logging
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from oragen.finetuning.checkpoints import Progress, read_checkpoint, write_checkpoint
from oragen.finetuning.examples import Draw, ExampleBatch, Examples
from oragen.finetuning.learner import Learner, freeze_idle, keep_all_layers
from oragen.schema.errors import UserError
from oragen.schema.tables import EXAMPLES
from oragen.schema.vocabulary import GENDERS, Precision
from oragen.training.devices import make_fabric
from oragen.training.history import ClassWeights, DivergedError
from oragen.training.losses import TaskWeights
from oragen.training.scoring import (
    WindowPredictions,
    group_predictions,
    join_labels,
    score_clips,
    selection_score,
)
from tests.finetuning_runs import (
    GENDER_ONLY,
    OPTIONS,
    Trained,
    crops,
    make_audio_model,
    make_face_model,
    sounds,
    train,
    train_on_devices,
    train_to_be_killed,
    weights_of,
    write_crops,
    write_sounds,
)
from tests.project import REPOSITORY

Tables = dict[str, pd.DataFrame]
EVEN = ClassWeights(None, None)
LEARNING = replace(OPTIONS, max_epochs=14, patience=14, learning_rate=0.003)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("stores")
    return {
        "crops_train": write_crops(folder / "crops_train", 30),
        "crops_dev": write_crops(folder / "crops_dev", 18, split="dev"),
        "sounds_train": write_sounds(folder / "sounds_train", 9),
        "sounds_dev": write_sounds(folder / "sounds_dev", 6, split="dev"),
    }


def make_learner(
    model: nn.Module,
    fabric: Fabric | None = None,
    *,
    learning_rate: float = 1e-3,
    task_weights: TaskWeights | None = None,
) -> Learner:
    fabric = fabric or make_fabric(torch.device("cpu"), "fp32", 1)
    fabric.launch()
    return Learner(
        fabric,
        model,
        learning_rate=learning_rate,
        weight_decay=0.0,
        gradient_clip=1e9,
        task_weights=task_weights or TaskWeights(),
        class_weights=EVEN,
        seed=0,
    )


def take(examples: Examples, places: Sequence[int]) -> ExampleBatch:
    return examples.collate([examples[Draw(1, place)] for place in places])


def gradients_of(model: nn.Module) -> Tensor:
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return torch.cat([gradient.flatten() for gradient in gradients])


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


def test_predictions_are_in_the_order_of_their_examples(tables: Tables) -> None:
    dev, model = crops(tables["crops_dev"]), make_face_model().eval()
    predictions = make_learner(model).predict(
        [take(dev, [2, 0]), take(dev, [1, 3, 0])], num_examples=4
    )
    with torch.inference_mode():
        expected = model(*take(dev, [0, 1, 2, 3]).inputs)
    assert predictions.mask_type is not None
    for found, wanted in (
        (predictions.gender, expected.gender_logits.softmax(-1)),
        (predictions.mask_type, expected.mask_type_logits.softmax(-1)),
        (predictions.age_years, expected.age_years),
    ):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4)


def test_an_example_without_a_prediction_is_noticed(tables: Tables) -> None:
    dev = crops(tables["crops_dev"])
    with pytest.raises(AssertionError, match="every example"):
        make_learner(make_face_model()).predict([take(dev, [0, 2])], num_examples=3)


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


@pytest.mark.slow
def test_other_processes_change_nothing(tables: Tables, tmp_path: Path) -> None:
    examples, dev = sounds(tables["sounds_train"]), sounds(tables["sounds_dev"])
    options = replace(OPTIONS, max_epochs=2)
    alone, helped = (
        train(
            make_audio_model(), examples, dev, tmp_path / "c",
            replace(options, num_workers=num_workers),
        )
        for num_workers in (0, 1)
    )  # fmt: skip
    assert helped.history == alone.history
    assert torch.equal(weights_of(helped.model), weights_of(alone.model))


# Steps


@pytest.mark.parametrize("sizes", [(4, 4), (4, 4, 2), (1, 7)])
def test_accumulated_batches_give_the_gradient_of_all_their_examples(
    tables: Tables, sizes: tuple[int, ...]
) -> None:
    examples, gradients, losses = crops(tables["crops_train"]), [], []
    stops = np.cumsum(sizes)
    parts = [range(stop - size, stop) for stop, size in zip(stops, sizes, strict=True)]
    for places in (parts, [range(stops[-1])]):
        model = make_face_model()
        learner = make_learner(model, task_weights=GENDER_ONLY)
        batches = [take(examples, part) for part in places]
        losses.append(learner.learn(batches, epoch=1, first_batch=0))
        gradients.append(gradients_of(model))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)
    assert gradients[0].abs().max() > 1e-3


def test_a_step_s_gradient_does_not_stay_for_the_next(tables: Tables) -> None:
    batch = take(crops(tables["crops_train"]), range(4))
    model = make_face_model()
    learner, gradients = make_learner(model, learning_rate=0.0), []
    for first_batch in (0, 1):
        learner.learn([batch], epoch=1, first_batch=first_batch)
        gradients.append(gradients_of(model).clone())
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_training_that_diverges_says_so(tables: Tables, tmp_path: Path) -> None:
    examples, dev = crops(tables["crops_train"]), crops(tables["crops_dev"])
    with pytest.raises(DivergedError, match=r"epoch 1: .* Lower its learning_rate \(1e\+30\)"):
        train(
            make_face_model(), examples, dev, tmp_path / "c", replace(OPTIONS, learning_rate=1e30)
        )


def test_a_gradient_that_is_no_number_is_divergence_though_the_loss_is_one(tables: Tables) -> None:
    model = make_face_model()
    weight = model.get_parameter("decisions.gender.weight")
    weight.register_hook(lambda gradient: gradient * math.nan)
    learner = make_learner(model)
    loss = learner.learn([take(crops(tables["crops_train"]), range(4))], epoch=1, first_batch=0)
    assert math.isnan(loss)


def test_a_step_of_fp16_that_overflows_is_left_out_and_is_no_divergence(tables: Tables) -> None:
    """A loss scaled by 2 ** 30 has no gradient in fp16; the scale is halved and all goes on."""
    scaler = GradScaler("cpu", init_scale=2.0**30)
    fabric = Fabric(
        accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)]
    )
    model = make_face_model()
    before, batch = weights_of(model).clone(), take(crops(tables["crops_train"]), range(8))
    learner = make_learner(model, fabric)
    assert math.isfinite(learner.learn([batch], epoch=1, first_batch=0))
    assert torch.equal(weights_of(model), before)
    assert scaler.get_scale() == 2.0**29
    losses = [learner.learn([batch], epoch=1, first_batch=number) for number in range(1, 40)]
    assert scaler.get_scale() < 2.0**20
    assert losses[-1] < losses[0]
    state = learner.checkpoint(Progress()).precision
    assert state["scale"] == scaler.get_scale()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_learns_about_the_same(tables: Tables, precision: Precision) -> None:
    batch = take(sounds(tables["sounds_train"]), range(8))
    losses: dict[str, list[float]] = {}
    for name in ("fp32", precision):
        model = make_audio_model()
        keep_all_layers(model)
        learner = make_learner(model, make_fabric(torch.device("cpu"), name, 1))
        losses[name] = [learner.learn([batch], epoch=1, first_batch=n) for n in range(5)]
        assert all(weight.dtype == torch.float32 for weight in model.parameters())
    assert losses[precision] != losses["fp32"]
    assert losses[precision] == pytest.approx(losses["fp32"], rel=0.1)


# Weights that no output depends on


def test_weights_that_reach_no_output_are_found_and_frozen(tables: Tables) -> None:
    """The last norm and the pooler of a ViT; what stands for hidden steps in a wav2vec 2.0."""
    face, audio = make_face_model(), make_audio_model()
    idle = freeze_idle(face, take(crops(tables["crops_train"]), [0]))
    assert sorted(idle) == [
        f"encoder.{layer}.{kind}"
        for layer in ("layernorm", "pooler.dense")
        for kind in ("bias", "weight")
    ]
    assert freeze_idle(audio, take(sounds(tables["sounds_train"]), [0])) == [
        "encoder.masked_spec_embed"
    ]
    for model, found in ((face, idle), (audio, ["encoder.masked_spec_embed"])):
        names = [name for name, weight in model.named_parameters() if not weight.requires_grad]
        assert [name for name in names if "feature_extractor" not in name] == found
        assert all(weight.grad is None for weight in model.parameters())


def test_no_layer_is_skipped(tables: Tables) -> None:
    model = make_audio_model()
    assert model.encoder.config.layerdrop == 0.5
    keep_all_layers(model)
    assert model.encoder.config.layerdrop == 0.0
    make_learner(model).learn(
        [take(sounds(tables["sounds_train"]), range(4))], epoch=1, first_batch=0
    )
    missing = [
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None
    ]
    assert missing == []


# Killed and resumed


@pytest.fixture
def killable(tables: Tables, tmp_path: Path) -> Path:
    """A folder as `train_to_be_killed` wants it."""
    for split in ("train", "dev"):
        EXAMPLES.write(tmp_path / f"{split}.parquet", tables[f"sounds_{split}"])
    return tmp_path


def wait_for_steps(process: BaseProcess, checkpoint: Path, number: int) -> None:
    """Return when a process has kept its state so often, or has ended."""
    seen = {checkpoint.stat().st_mtime_ns} if checkpoint.exists() else {0}
    first = len(seen)
    while process.is_alive() and len(seen) < first + number:
        if checkpoint.exists():
            seen.add(checkpoint.stat().st_mtime_ns)
        process.join(0.001)


@pytest.mark.slow
def test_a_training_killed_again_and_again_ends_as_an_undisturbed_one(killable: Path) -> None:
    train_to_be_killed(killable)
    undisturbed = torch.load(killable / "trained.pt")
    (killable / "trained.pt").unlink()
    checkpoint = killable / "state.ckpt"
    checkpoint.unlink()
    context, random = get_context("forkserver"), Random(0)
    context.set_forkserver_preload(["tests.finetuning_runs"])
    places = []
    while True:
        process = context.Process(target=train_to_be_killed, args=(killable,))
        process.start()
        wait_for_steps(process, checkpoint, random.randint(1, 3))
        process.join(random.uniform(0, 0.05))
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -9
        state = read_checkpoint(checkpoint, identity="this one-1")
        assert state is not None, "a kill leaves a whole file"
        places.append(state.progress.place)
    resumed = torch.load(killable / "trained.pt")
    assert resumed["history"] == undisturbed["history"]
    assert torch.equal(resumed["weights"], undisturbed["weights"])
    assert len(places) >= 3
    assert any(batch > 0 for _, batch in places), "killed within an epoch"
    assert places == sorted(places)


def test_a_training_that_was_done_is_not_done_again(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the last epoch, and before the result was safe."""
    examples, dev = crops(tables["crops_train"]), crops(tables["crops_dev"])
    options = replace(OPTIONS, checkpoint_minutes=0.0, batch_size=32)
    first = train(make_face_model(), examples, dev, tmp_path / "c", options)
    monkeypatch.setattr(Learner, "learn", lambda *_, **__: pytest.fail("it learns again"))
    again = train(make_face_model(), examples, dev, tmp_path / "c", options)
    assert again.history == first.history
    assert torch.equal(weights_of(again.model), weights_of(first.model))


def test_the_state_is_kept_only_after_the_minutes_asked_for(tables: Tables, tmp_path: Path) -> None:
    options = replace(OPTIONS, max_epochs=1, batch_size=32, checkpoint_minutes=60.0)
    examples, dev = crops(tables["crops_train"]), crops(tables["crops_dev"])
    train(make_face_model(), examples, dev, tmp_path / "c", options)
    assert not (tmp_path / "c").exists()


def test_the_state_of_another_training_is_not_used(
    tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    examples, dev = crops(tables["crops_train"]), crops(tables["crops_dev"])
    options = replace(OPTIONS, checkpoint_minutes=0.0, batch_size=32, max_epochs=1)
    train(make_face_model(), examples, dev, tmp_path / "c", options, identity="one")
    longer = replace(options, max_epochs=2)
    history = train(
        make_face_model(), examples, dev, tmp_path / "c", longer, identity="two"
    ).history
    assert "is of another training" in caplog.text
    fresh = train(make_face_model(), examples, dev, tmp_path / "d", longer, identity="two").history
    assert history == fresh


@pytest.mark.parametrize("damage", ["cut", "emptied", "nonsense", "of something else"])
def test_a_damaged_state_is_a_warning_and_a_fresh_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path, learner = tmp_path / "state.ckpt", make_learner(make_face_model())
    write_checkpoint(path, learner.checkpoint(Progress()), identity="mine")
    assert read_checkpoint(path, identity="mine") is not None
    whole = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "emptied":
            path.write_bytes(b"")
        case "nonsense":
            path.write_bytes(b"x" * 1000)
        case "of something else":
            torch.save({"identity": "mine", "weights": {}}, path)
    assert read_checkpoint(path, identity="mine") is None
    assert "training starts over" in caplog.text


def test_a_state_with_weights_that_are_no_numbers_is_not_resumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_face_model()
    with torch.no_grad():
        model.get_parameter("decisions.gender.bias")[0] = math.nan
    path = tmp_path / "state.ckpt"
    write_checkpoint(path, make_learner(model).checkpoint(Progress()), identity="mine")
    assert read_checkpoint(path, identity="mine") is None
    assert "decisions.gender.bias: training starts over" in caplog.text


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


def test_a_state_in_the_writing_does_not_replace_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, learner = tmp_path / "state.ckpt", make_learner(make_face_model())
    write_checkpoint(path, learner.checkpoint(Progress(epoch=5)), identity="mine")

    def break_off(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(torch, "save", break_off)
    with pytest.raises(OSError, match="no space"):
        write_checkpoint(path, learner.checkpoint(Progress(epoch=6)), identity="mine")
    found = read_checkpoint(path, identity="mine")
    assert found is not None
    assert found.progress.epoch == 5


# Several devices


@pytest.fixture(scope="module")
def shared(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training on one device and one on two end with."""
    folder = tmp_path_factory.mktemp("shared")
    for name, table in tables.items():
        EXAMPLES.write(folder / f"{name}.parquet", table)
    train_on_devices(folder, 1)
    (folder / "audio.ckpt").unlink()  # or the others would go on from there
    command = [sys.executable, "-m", "tests.finetuning_runs", str(folder), "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=300, cwd=REPOSITORY, env=environment)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["face", "audio"])
def test_all_devices_end_with_the_same_weights_and_history(shared: Path, modality: str) -> None:
    one, other = (torch.load(shared / f"{modality}-2-{rank}.pt") for rank in range(2))
    assert torch.equal(one["weights"], other["weights"])
    assert one["history"] == other["history"]
    assert len(one["history"]) == 3


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(shared: Path) -> None:
    """60 crops in batches of 8, of which each device takes 4; the last one has 4."""
    alone, together = (torch.load(shared / f"face-{number}-0.pt") for number in (1, 2))
    for one, other in zip(alone["history"], together["history"], strict=True):
        assert one[1] == pytest.approx(other[1], rel=1e-4)  # the train loss
    torch.testing.assert_close(alone["weights"], together["weights"], rtol=1e-2, atol=1e-4)
    start = weights_of(make_face_model())
    assert (alone["weights"] - start).abs().max() > 0.005


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
