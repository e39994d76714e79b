"""Stores that arrays of a real Slurm fill, also when a task is cancelled by hand."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launched_projects import Rows, copy, count_rows, read_rows, run_stage
from tests.slurm_daemons import Slurm, can_run
from tests.template_project import Template

STAGE, MINI = "extract_audio_features", ("extract_audio_features", "mini")
TASKS = {"cores": 1, "max_tasks": 3, "max_at_once": 2, "minutes": 10}
pytest.importorskip("submitit")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_run(), reason="Slurm is not installed, or may not be started"),
]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """A cluster of one node."""
    with pytest.MonkeyPatch.context() as patch, Slurm() as started:
        patch.setenv("OMP_NUM_THREADS", "1")  # more may change the last bits
        for name, text in started.environment.items():
            patch.setenv(name, text)
        yield started


@pytest.fixture(scope="module")
def expected(slurm: Slurm, template: Template, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What one process makes."""
    project = copy(template, tmp_path_factory.mktemp("local"), STAGE)
    run_stage(project, *MINI)
    return read_rows(project, *MINI)


def test_an_array_whose_task_is_cancelled_by_hand_makes_the_rows_of_one_process(
    slurm: Slurm, expected: Rows, template: Template, tmp_path: Path
) -> None:
    project = copy(template, tmp_path, STAGE, launcher="slurm", slurm=TASKS)
    with project.start("python", "-m", f"stages.{STAGE}", "mini") as stage:
        cancelled = wait_for_task(slurm, "R")
        slurm.ask("scancel", cancelled)
    assert stage.returncode == 0
    assert read_rows(project, *MINI) == expected
    assert count_rows(project, *MINI) == len(expected)
    assert not [*(tmp_path / "data" / "cache" / "plans").iterdir()]
    assert " 0 encoded now" in run_stage(project, *MINI)


@pytest.mark.parametrize(("when_interrupted", "states"), [("cancel", ""), ("leave", "some")])
def test_the_jobs_of_an_interrupted_stage_are_cancelled_or_left(
    when_interrupted: str, states: str, slurm: Slurm, template: Template, tmp_path: Path
) -> None:
    tasks = TASKS | {"when_interrupted": when_interrupted}
    project = copy(template, tmp_path, STAGE, launcher="slurm", slurm=tasks)
    command = ("python", "-m", f"stages.{STAGE}", "mini")
    with project.start(*command, preexec_fn=heed_interrupts) as stage:
        wait_for_task(slurm, "R")
        stage.send_signal(signal.SIGINT)
    assert stage.returncode not in (0, 2)
    left = slurm.ask("squeue", "--noheader", "--states=R,PD")
    assert bool(left) == bool(states)
    if left:
        wait_for_the_end(slurm)
        project.change(execution={"launcher": "local"})
        assert " 0 encoded now" in run_stage(project, *MINI)


def test_what_a_task_cannot_do_is_said_as_it_says_it(
    slurm: Slurm, template: Template, tmp_path: Path
) -> None:
    tasks = TASKS | {"setup": ["echo '# changed' >> stages/shard.py"]}
    project = copy(template, tmp_path, STAGE, launcher="slurm", slurm=tasks)
    run = project.run("python", "-m", f"stages.{STAGE}", "mini")
    assert run.exit_code == 2
    assert "is of other parameters, another encoder or other code" in run.output


def heed_interrupts() -> None:
    """A shell that starts the tests in the background has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_task(slurm: Slurm, state: str) -> str:
    """Wait until a task runs; return its name."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        tasks = slurm.ask("squeue", "--noheader", "--array", f"--states={state}", "--format=%i")
        if tasks:
            return tasks.split()[0]
        time.sleep(0.1)
    raise AssertionError("no task runs")


def wait_for_the_end(slurm: Slurm) -> None:
    until = time.monotonic() + 300
    while slurm.ask("squeue", "--noheader"):
        assert time.monotonic() < until, "tasks do not end"
        time.sleep(0.5)
