"""A fine-tuning that was killed goes on from its state, and ends as an undisturbed one."""

import errno
import logging
import math
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from oragen.finetuning.checkpoints import Progress, read_checkpoint, write_checkpoint
from oragen.finetuning.learner import Learner
from oragen.schema.tables import EXAMPLES
from tests.finetuning_runs import (
    OPTIONS,
    Tables,
    crops,
    make_face_model,
    make_learner,
    train,
    train_to_be_killed,
    weights_of,
    write_tables,
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return write_tables(tmp_path_factory.mktemp("stores"))


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


@pytest.mark.slow
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
