"""Two nodes that torchrun has started fine-tune one encoder, as one process does."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from oragen.schema.tables import EXAMPLES
from tests.finetuning_runs import write_crops
from tests.project import REPOSITORY, Run
from tests.slurm_daemons import find_port

pytestmark = pytest.mark.slow  # whole trainings in fresh interpreters

ENCODER: Final = "tiny-vit"
FOLDER: Final = Path("data/encoders") / ENCODER
CHECKPOINT: Final = Path("data/cache/finetuning") / f"{ENCODER}.ckpt"
STAGE: Final = ("-m", "stages.finetune_encoder", ENCODER)
BRIEFLY: Final = {
    "batch_size": 8,
    "max_epochs": 2,
    # So that no part of the loss is of one share of a batch: see `finetune`.
    "age_weight": 0.0,
    "mask_type_weight": 0.0,
    "balance_classes": False,
}


class Trained(NamedTuple):
    weights: Tensor
    losses: list[float]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the examples of the encoder, and keeps the state after every step."""
    folder, stores = tmp_path_factory.mktemp("nodes") / "project", tmp_path_factory.mktemp("stores")
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["encoders"]["catalogue"][ENCODER]["finetuning"] |= BRIEFLY
    params["execution"] |= {"checkpoint_minutes": 0.0001, "device": "cpu"}
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    train, dev = write_crops(stores / "train", 30), write_crops(stores / "dev", 18, split="dev")
    EXAMPLES.write(folder / "data" / "examples" / f"{ENCODER}.parquet", pd.concat([train, dev]))
    return folder


def copy_of(project: Path, name: str) -> Path:
    return Path(shutil.copytree(project, project.with_name(name)))


def start(project: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start Python in the folder of a project."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_nodes(*projects: Path) -> list["subprocess.Popen[str]"]:
    """Start a node in each folder; the first one has rank 0."""
    port = find_port()
    return [
        start(
            project, "-m", "torch.distributed.run", f"--nnodes={len(projects)}",
            f"--node-rank={rank}", "--nproc-per-node=1", "--master-addr=127.0.0.1",
            f"--master-port={port}", *STAGE,
        )
        for rank, project in enumerate(projects)
    ]  # fmt: skip


def end(nodes: "list[subprocess.Popen[str]]") -> list[Run]:
    """Wait for the nodes; one that hangs fails the test."""
    try:
        return [Run(node.communicate(timeout=300)[0], node.returncode) for node in nodes]
    finally:
        for node in nodes:
            kill(node)


def kill(node: "subprocess.Popen[str]") -> None:
    """Kill torchrun and what it has started, as a node dies."""
    try:
        started = psutil.Process(node.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    node.kill()
    for process in started:
        process.kill()
    node.wait()


def train(*projects: Path) -> list[Run]:
    runs = end(start_nodes(*projects))
    assert [run.exit_code for run in runs] == [0] * len(projects), runs
    return runs


def read(project: Path) -> Trained:
    """Read what a training has written."""
    (file,) = (project / FOLDER).glob("*.safetensors")
    weights = torch.cat([each.flatten() for each in load_file(file).values()])
    return Trained(weights, pd.read_csv(project / FOLDER / "history.csv")["train_loss"].tolist())


def listing(project: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in project.rglob("*")}


@pytest.fixture(scope="module")
def alone(project: Path) -> Trained:
    """What one process learns."""
    apart = copy_of(project, "alone")
    (run,) = end([start(apart, *STAGE)])
    assert run.exit_code == 0, run.output
    return read(apart)


@pytest.fixture(scope="module")
def together(project: Path) -> Trained:
    """What two nodes learn, the second of which has a folder of its own."""
    apart, other = copy_of(project, "first"), copy_of(project, "second")
    before = listing(other)
    train(apart, other)
    assert listing(other) == before, "only the first process writes"
    assert not (apart / CHECKPOINT).exists()
    return read(apart)


def test_two_nodes_learn_what_one_process_learns(alone: Trained, together: Trained) -> None:
    """But for rounding, which AdamW turns into whole steps where a gradient is near 0."""
    assert together.losses == pytest.approx(alone.losses, rel=1e-4)
    assert (together.weights - alone.weights).norm() < 1e-3 * alone.weights.norm()
    torch.testing.assert_close(together.weights, alone.weights, rtol=1e-2, atol=1e-3)


def test_a_training_whose_node_died_goes_on_from_its_state(
    project: Path, together: Trained
) -> None:
    nodes = start_nodes(project, project)
    wait_for_checkpoint(project / CHECKPOINT, nodes)
    kill(nodes[1])
    first, _ = end(nodes)
    assert first.exit_code != 0, "the other node ends, and does not wait"
    assert (project / CHECKPOINT).exists()
    assert not (project / FOLDER / "history.csv").exists()
    other = copy_of(project, "without_state")
    (other / CHECKPOINT).unlink()
    for run in end(start_nodes(project, other)):
        assert run.exit_code != 0
        assert "1 of 2 processes have other examples" in run.output
    runs = train(project, project)
    assert "resumed in epoch" in runs[0].output
    assert torch.equal(read(project).weights, together.weights)


def wait_for_checkpoint(path: Path, nodes: "list[subprocess.Popen[str]]") -> None:
    deadline = time.monotonic() + 200
    while not path.exists():
        assert time.monotonic() < deadline
        assert all(node.poll() is None for node in nodes)
        time.sleep(0.01)
