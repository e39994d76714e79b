"""Files as a stranger could send them -> how each was refused, or that oragen has a weakness.

Ten good media files, parts of both formats, a packed model, a table and params.yaml are spoilt by a
seed, in thousands of ways. Each input is read as the pipeline and the predictor read it, in a
process of its own home and working folder. Right is a result, or a sentence that says what is
wrong. A traceback, a hang, a file written elsewhere, or too much memory is a weakness: it is
printed with its number, its input is kept in FOLDER with --keep, and the exit code is 1.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks.fuzzed_inputs import KINDS, Kind, write_good_inputs
from benchmarks.fuzzed_reading import SECRET, Outcome, Task, try_one
from benchmarks.measuring import show
from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, Workers


def main(
    num_inputs: Annotated[int, typer.Option(min=1, help="Inputs of all kinds together.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Another seed makes other inputs.")] = 0,
    kind: Annotated[Kind | None, typer.Option(help="Of this kind only.")] = None,
    limit_s: Annotated[float, typer.Option(help="Work of more seconds is a hang.")] = 90.0,
    max_mb: Annotated[float, typer.Option(help="More memory is a weakness.")] = 2_048.0,
    num_workers: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    keep: Annotated[Path | None, typer.Option(help="Folder for inputs that show one.")] = None,
) -> None:
    """Read thousands of spoilt files, and count what became of them."""
    kinds = [kind] if kind else KINDS
    with tempfile.TemporaryDirectory() as scratch:
        outcomes, strays = fuzz(Path(scratch), num_inputs, seed, kinds, limit_s, num_workers)
        weak = [outcome for outcome in outcomes if not _is_right(outcome, max_mb)]
        for outcome in weak:
            typer.echo(f"{outcome.kind} {outcome.number}: {outcome.verdict}\n{outcome.message}\n")
            if keep is not None:
                place = Path(scratch, "inputs", f"{outcome.kind}-{outcome.number}")
                shutil.copytree(place, keep / place.name, dirs_exist_ok=True, symlinks=True)
        for stray in strays:
            typer.echo(f"written elsewhere: {stray}\n")
    show(
        "fuzzing", f"{len(outcomes):,} spoilt inputs, seed {seed}",
        [_count(name, [o for o in outcomes if o.kind == name], max_mb) for name in kinds],
        weaknesses=len(weak), files_written_elsewhere=len(strays),
        peak_mb=max(outcome.peak_mb for outcome in outcomes),
    )  # fmt: skip
    if weak or strays:
        raise typer.Exit(1)


def fuzz(
    scratch: Path,
    num_inputs: int,
    seed: int,
    kinds: Sequence[Kind],
    limit_s: float,
    num_workers: int,
) -> tuple[list[Outcome], list[Path]]:
    """Spoil and read inputs of all kinds in turn; return what became of them, and stray files."""
    for name in ("good", "inputs", "home", "temporary", "outside"):
        (scratch / name).mkdir()
    (scratch / "outside" / "secret.txt").write_text(SECRET)
    write_good_inputs(scratch / "good")
    plan = [Task(scratch, kinds[number % len(kinds)], number, seed) for number in range(num_inputs)]
    limits = Limits(memory_gb=16.0, work_s=limit_s)
    with Workers(num_workers, limits=limits, action="reading") as workers:
        results = tqdm(workers.map(try_one, plan), total=len(plan), unit="input")
        outcomes = [_judge(task, result) for task, result in zip(plan, results, strict=True)]
    return outcomes, list(_find_strays(scratch))


def _judge(task: Task, result: Outcome | Failure) -> Outcome:
    if isinstance(result, Outcome):
        return result
    return Outcome(task.kind, task.number, result.reason, "", 0.0, 0.0)


def _find_strays(scratch: Path) -> Iterator[Path]:
    """Yield what was written beside the inputs, or changed there."""
    secret = scratch / "outside" / "secret.txt"
    for folder in ("home", "temporary", "outside"):
        for path in (scratch / folder).rglob("*"):
            if path != secret:
                yield path
    if secret.read_text() != SECRET:
        yield secret


def _is_right(outcome: Outcome, max_mb: float) -> bool:
    return outcome.verdict in ("used", "refused") and outcome.peak_mb <= max_mb


def _count(kind: Kind, outcomes: Sequence[Outcome], max_mb: float) -> dict[str, str | int | float]:
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    return {
        "kind": kind,
        "inputs": len(outcomes),
        "used": verdicts["used"],
        "refused": verdicts["refused"],
        "weak": sum(not _is_right(outcome, max_mb) for outcome in outcomes),
        "slowest, s": max((outcome.seconds for outcome in outcomes), default=0.0),
    }


if __name__ == "__main__":
    typer.run(main)
