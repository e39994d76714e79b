"""A fine-tuning on several devices or with worker processes learns what one process learns."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from oragen.schema.tables import EXAMPLES
from tests.finetuning_runs import (
    OPTIONS,
    Tables,
    make_audio_model,
    make_face_model,
    sounds,
    train,
    train_on_devices,
    weights_of,
    write_tables,
)
from tests.project import REPOSITORY


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return write_tables(tmp_path_factory.mktemp("stores"))


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
