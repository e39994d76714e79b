"""A plan -> an array of jobs of Slurm, whose tasks write what came of each group to a file.

A task that ends before all its groups are done is submitted again: it was preempted, cancelled,
took too long, or died. It goes on with the first group that is not done. If it ends in this group
each time, the group is given up and named.
"""

import json
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from oragen.launch.plans import Plan
from oragen.launch.shards import Call, Result, Share
from oragen.schema.choices.launchers import JobsOfInterrupted
from oragen.schema.errors import UserError
from oragen.schema.files import write_text
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object

logger = logging.getLogger(__name__)

ASK_S: Final = 120.0  # longest wait for an answer of Slurm
LEAST_S: Final = 1.0  # between two questions how jobs are; more as time passes
MOST_S: Final = 15.0
GONE: Final = "Invalid job id"  # what Slurm says of jobs that it has forgotten
REFUSAL: Final = "refusal.txt"
MAX_SENTENCE: Final = 4000  # characters
NOT_SHOWN: Final = ("COMPLETED", "COMPLETING")


class SlurmError(UserError):
    """Slurm cannot be used."""


@dataclass(frozen=True)
class SlurmOptions:
    """What a task needs, and how many there are."""

    partition: str | None
    gpus: int
    cores: int
    memory_gb: float | None
    minutes: int
    max_tasks: int
    max_at_once: int
    setup: Sequence[str]  # lines of shell
    when_interrupted: JobsOfInterrupted
    max_tries: int
    cluster: str = "slurm"  # `local` has the same tasks as processes of this machine


class SlurmLauncher:
    """Hands out a plan as arrays of jobs, and waits for them."""

    def __init__(self, options: SlurmOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder  # of plans, which tasks read, and of what they write
        self.num_workers = options.max_tasks
        self.leaves_work = options.when_interrupted == "leave"

    def run(self, plan: Plan, call: Call) -> Result:
        """Have all groups of a plan done.

        Raises:
            SlurmError: jobs cannot be submitted, or a task found what the user can mend.
        """
        num_shards = min(plan.num_groups, self._options.max_tasks)
        done = DoneGroups(self._folder / call.plan, plan)
        tries = Counter[int]()  # of a group, in which a task ended
        title = f"{plan.stage} of {plan.subject}"
        with tqdm(total=len(plan.table), desc=title, unit="row") as progress:
            while groups := done.find_undone():
                shares = [
                    Share(n + 1, num_shards) for n in sorted({g % num_shards for g in groups})
                ]
                self._run_array(call, shares, done, progress)
                for group in done.find_first_undone(num_shards):
                    tries[group] += 1
                    if tries[group] >= self._options.max_tries:
                        done.give_up(group, f"its task of Slurm ended {tries[group]} times")
                if left := done.find_undone():
                    logger.info("%d of %d groups are not done: tried again", len(left), len(groups))
        return done.read()

    def _run_array(
        self, call: Call, shares: Sequence[Share], done: "DoneGroups", progress: Any
    ) -> None:
        """Submit a task for each share, and wait until none waits or runs."""
        jobs = self._submit(call, shares, done.folder)
        logger.info("%d tasks submitted to Slurm: %s", len(jobs), jobs[0].job_id.partition("_")[0])
        started_s = time.monotonic()
        with self._cancelling(jobs):
            while states := self._find_states(jobs):
                self._show(progress, done, states)
                time.sleep(min(MOST_S, LEAST_S + (time.monotonic() - started_s) / 10))
        self._show(progress, done, Counter())
        if (refusal := done.read_refusal()) is not None:
            raise SlurmError(refusal)

    def _submit(self, call: Call, shares: Sequence[Share], results: Path) -> list[Any]:
        try:
            from submitit import AutoExecutor
            from submitit.helpers import CommandFunction
        except ImportError as error:
            raise SlurmError(
                "`execution.launcher: slurm` needs the package submitit: run "
                "`pip install 'oragen[slurm]'`."
            ) from error
        options = self._options
        try:
            executor = AutoExecutor(folder=results / "logs", cluster=options.cluster)
            executor.update_parameters(
                name=f"oragen-{call.stage}", timeout_min=options.minutes,
                cpus_per_task=options.cores, mem_gb=options.memory_gb,
                gpus_per_node=options.gpus, slurm_partition=options.partition,
                slurm_array_parallelism=options.max_at_once, slurm_setup=list(options.setup),
                slurm_use_srun=False,
            )  # fmt: skip
            commands = [to_command(call, share, results) for share in shares]
            tasks = [CommandFunction(command, verbose=False) for command in commands]
            with executor.batch():
                return [executor.submit(task) for task in tasks]
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            raise SlurmError(
                f"Jobs cannot be submitted to Slurm ({' '.join(str(error).split())[:300]}). Look "
                "at `execution.slurm` of params.yaml and at `sinfo`."
            ) from error

    def _find_states(self, jobs: Sequence[Any]) -> "Counter[str]":
        """Return how many jobs are in each state, without those that have ended."""
        if self._options.cluster != "slurm":
            return Counter("RUNNING" for job in jobs if not job.done())
        return ask_queue([job.job_id for job in jobs])

    def _show(self, progress: Any, done: "DoneGroups", states: "Counter[str]") -> None:
        progress.set_postfix_str(", ".join(f"{count} {state}" for state, count in states.items()))
        progress.update(done.count_rows() - progress.n)

    @contextmanager
    def _cancelling(self, jobs: Sequence[Any]) -> Iterator[None]:
        """Cancel the jobs if the block is interrupted, or leave them to end by themselves."""
        try:
            yield
        except BaseException:
            if not self.leaves_work:
                for job in jobs:
                    job.cancel(check=False)
            raise


class DoneGroups:
    """A folder with a file for each group of a plan that is done."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self._plan = plan
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REFUSAL).unlink(missing_ok=True)

    def find_undone(self) -> list[int]:
        """Return the groups without a file."""
        there = {path.stem for path in self.folder.glob("*.json")}
        return [group for group in range(self._plan.num_groups) if str(group) not in there]

    def find_first_undone(self, num_shards: int) -> list[int]:
        """Return the group of each shard in which its task has ended."""
        first: dict[int, int] = {}
        for group in self.find_undone():
            first.setdefault(group % num_shards, group)
        return [*first.values()]

    def count_rows(self) -> int:
        """Return how many rows are in groups that are done."""
        undone = sum(self._plan.size_of(group) for group in self.find_undone())
        return len(self._plan.table) - undone

    def give_up(self, group: int, reason: str) -> None:
        """Note the rows of a group as failures."""
        rows = self._plan.rows(group)
        clips = ", ".join(sorted({row.clip_id for row in rows}))
        logger.warning("given up, as %s: %s", reason, clips)
        note_group(self.folder, group, Result(0, failures={row.key: reason for row in rows}))

    def read_refusal(self) -> str | None:
        """Return the sentence that a task ended with, if the user has to mend something."""
        path = self.folder / REFUSAL
        return path.read_text("utf-8")[:MAX_SENTENCE] if path.is_file() else None

    def read(self) -> Result:
        """Read what came of all groups."""
        made = Result(0)
        for group in range(self._plan.num_groups):
            made += read_note(self.folder, group)
        return made


def note_group(folder: Path, group: int, result: Result) -> None:
    """Note what came of a group."""
    write_text(folder / f"{group}.json", json.dumps(result.as_json()))


def note_refusal(folder: Path, sentence: str) -> None:
    """Note why no task can go on."""
    write_text(folder / REFUSAL, sentence)


def is_noted(folder: Path, group: int) -> bool:
    """Whether a group is done."""
    return (folder / f"{group}.json").is_file()


def read_note(folder: Path, group: int) -> Result:
    """Read what came of a group.

    Raises:
        SlurmError: the file is not what a task writes.
    """
    path = folder / f"{group}.json"
    try:
        with path.open("rb") as file:
            found: dict[str, Any] = parse_object(file.read(MAX_BYTES + 1))
        parts, failures = tuple(map(str, found["parts"])), dict(found["failures"])
        return Result(int(found["num_made"]), parts, {str(k): str(v) for k, v in failures.items()})
    except (OSError, JsonError, LookupError, TypeError, ValueError) as error:
        raise SlurmError(f"{path} cannot be read ({error}). Run the stage again.") from error


def to_command(call: Call, share: Share, results: Path) -> list[str]:
    """Return what a task runs; it is no stage of DVC, of which its environment may speak."""
    return [
        "env", "-u", "DVC_STAGE", "-C", call.project, f"PYTHONPATH={call.project}",
        sys.executable, "-m", "stages.shard", call.stage, call.subject, str(share),
        "--plan", call.plan, "--results", str(results.absolute()),
    ]  # fmt: skip


def ask_queue(jobs: Sequence[str]) -> "Counter[str]":
    """Return how many of these tasks are in each state; those that have ended are not counted."""
    answer = _ask(["squeue", "--noheader", "--array", "--format=%i %T", f"--jobs={_arrays(jobs)}"])
    if answer is None:
        return Counter({"UNKNOWN": len(jobs)})
    wanted = {*jobs}
    states = [line.split()[:2] for line in answer.splitlines() if len(line.split()) == 2]
    return Counter(state for job, state in states if job in wanted and state not in NOT_SHOWN)


def _arrays(jobs: Sequence[str]) -> str:
    return ",".join(sorted({job.partition("_")[0] for job in jobs}))


def _ask(command: Sequence[str]) -> str | None:
    """Return the answer of Slurm; None if it has none at present, as while it restarts."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode and GONE not in done.stderr:
        logger.info("Slurm: %s", " ".join(done.stderr.split())[:300])
        return None
    return done.stdout
