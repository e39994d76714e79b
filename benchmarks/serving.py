"""Clips -> clips a second and latencies: a predictor in a loop, `oragen serve` asked by clients.

The service is a process of its own, on this machine. All ways are measured in turns. What clients
do, such as sending a clip, shares the cores and is counted in the seconds, not in the core seconds.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import numpy as np
import psutil
import typer

from benchmarks.measuring import Value, show, time_in_turns
from benchmarks.predicting import CLIP_S, default_model, make_clips
from tests.serving import Served, serve

if TYPE_CHECKING:
    from oragen.predictor import Predictor

OPTIONS: Final = ("--queue", "1000")  # no client is told to come back
LOOP: Final = "Predictor in a loop"


class Round(NamedTuple):
    """All clips predicted once by one way."""

    latencies_s: list[float]
    core_s: float
    predictions: list[Any]


def main(
    model: Annotated[
        Path | None, typer.Option(help="Folder of a model; default: params.yaml's.")
    ] = None,
    media: Annotated[
        Path | None, typer.Option(help="A folder of MP4 files; default: generated.")
    ] = None,
    num_clips: Annotated[int, typer.Option(min=1, help="Clips in a round.")] = 48,
    clients: Annotated[list[int] | None, typer.Option(help="Clients at once; 1 and 8.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of each way, in turns.")] = 3,
) -> None:
    """Compare a service with the predictor that it has in it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does
    from oragen.predictor import Predictor

    folder = (model or default_model()).absolute()
    with tempfile.TemporaryDirectory() as name, serve(folder, Path(name), *OPTIONS) as served:
        clips = sorted(media.glob("*.mp4")) if media else make_clips(Path(name), 8)
        paths = [clips[number % len(clips)] for number in range(num_clips)]
        predictor = Predictor.from_pretrained(folder)
        ways: dict[str, Callable[[], Round]] = {LOOP: partial(loop, predictor, paths)}
        ways["predict_files"] = partial(predict_files, predictor, paths)
        for count in clients or [1, 8]:
            way = f"oragen serve, {count} client{'s' * (count > 1)}"
            ways[way] = partial(ask, served, paths, num_clients=count)
        rows, same = measure(ways, num_clips, repeats)
    show(
        "serving", f"{num_clips} clips a round, medians of {repeats}", rows,
        clips="generated" if media is None else media.name, length_s=None if media else CLIP_S,
        same_json=str(same),
    )  # fmt: skip


def measure(
    ways: dict[str, Callable[[], Round]], num_clips: int, repeats: int
) -> tuple[list[dict[str, Value]], bool]:
    """Run all ways in turns; return a row for each, and whether all predict the same."""
    rounds: dict[str, list[Round]] = {name: [] for name in ways}

    def run(name: str) -> None:
        rounds[name].append(ways[name]())

    timings = time_in_turns({name: partial(run, name) for name in ways}, repeats=repeats)
    rows: list[dict[str, Value]] = []
    for name, timing in timings.items():
        measured = rounds[name][1:]  # without the warm-up
        latencies_s = [second for each in measured for second in each.latencies_s]
        rows.append({
            "way": name,
            "clips/s": num_clips / timing.median,
            "of the loop": timings[LOOP].median / timing.median,
            "p50, s": float(np.quantile(latencies_s, 0.50)) if latencies_s else None,
            "p95, s": float(np.quantile(latencies_s, 0.95)) if latencies_s else None,
            "core ms a clip": 1000 * sum(each.core_s for each in measured) / repeats / num_clips,
        })  # fmt: skip
    expected = rounds[LOOP][0].predictions
    same = all(each.predictions == expected for runs in rounds.values() for each in runs)
    return rows, same


def loop(predictor: "Predictor", paths: Sequence[Path]) -> Round:
    """Predict clip after clip, as a script would."""
    before, latencies_s, predictions = count_core_s(os.getpid()), [], []
    for path in paths:
        start = time.perf_counter()
        predictions.append(
            without_name(json.loads(next(predictor.predict_files([path])).to_json()))
        )
        latencies_s.append(time.perf_counter() - start)
    return Round(latencies_s, count_core_s(os.getpid()) - before, predictions)


def predict_files(predictor: "Predictor", paths: Sequence[Path]) -> Round:
    """Predict all clips in one call, which decodes ahead; no clip has a latency of its own."""
    before = count_core_s(os.getpid())
    predictions = [
        without_name(json.loads(found.to_json())) for found in predictor.predict_files(paths)
    ]
    return Round([], count_core_s(os.getpid()) - before, predictions)


def ask(served: Served, paths: Sequence[Path], *, num_clients: int) -> Round:
    """Let clients upload clips, each the next one once it has its answer."""
    before = count_core_s(served.process.pid)
    with ThreadPoolExecutor(num_clients) as executor:
        answers = list(executor.map(partial(upload, served), paths))
    latencies_s, predictions = zip(*answers, strict=True)
    return Round([*latencies_s], count_core_s(served.process.pid) - before, [*predictions])


def upload(served: Served, path: Path) -> tuple[float, Any]:
    """Return the seconds of one upload, and what the service predicts."""
    start = time.perf_counter()
    answer = served.predict(path)
    answer.raise_for_status()
    prediction = answer.json()["prediction"]
    assert prediction is not None, answer.text
    return time.perf_counter() - start, without_name(prediction)


def without_name(prediction: dict[str, Any]) -> dict[str, Any]:
    """Return a prediction without the name of its clip, of which the service knows nothing."""
    return {name: value for name, value in prediction.items() if name != "input"}


def count_core_s(process: int) -> float:
    """Return how long a process and those that it started have worked on a core."""
    first = psutil.Process(process)
    times = [each.cpu_times() for each in (first, *first.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


if __name__ == "__main__":
    typer.run(main)
