"""A clip -> the seconds of each step of its prediction, from the start of the process.

Below the table: many clips in one run, whose decoding overlaps with the encoders, and its memory.
With `--before`, another state of the code predicts them too, in turns, and the JSON is compared.
The clips are generated. The model is the one trained here, unless another is named.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from benchmarks.measuring import Value, show

CLIP_S: Final = 6.0
PREDICT_ONE: Final = "from benchmarks.predicting import predict_one; predict_one({!r}, {!r}, {!r})"
# It imports what is in the folder it runs in, which may be another state of the code.
PREDICT_ALL: Final = (
    f"import runpy; predict_all = runpy.run_path({__file__!r})['predict_all'];"
    " predict_all({!r}, {!r})"
)
# The timed steps of a prediction: the module that calls a function, and its name there.
STEPS: Final = {
    "wait for sound and faces": ("oragen.predictor.clip_decoder", "wait_for"),
    "detect speech": ("oragen.predictor.clip_inputs", "detect_samples_speech"),
    "encode audio and faces": ("oragen.predictor.predictor", "embed_windows"),
    "run the head": ("oragen.predictor.predictor", "predict_windows"),
}


def main(
    model: Annotated[
        Path | None, typer.Option(help="Folder of a head; default: params.yaml's.")
    ] = None,
    num_clips: Annotated[int, typer.Option(help="Clips that are predicted in one run.")] = 200,
    repeats: Annotated[int, typer.Option(help="Processes for each measurement.")] = 3,
    before: Annotated[
        Path | None, typer.Option(help="Folder of another state of the code, to compare with.")
    ] = None,
) -> None:
    """Time one prediction by its steps, and many predictions."""
    folder = (model or default_model()).absolute()
    with tempfile.TemporaryDirectory() as scratch:
        clips = make_clips(Path(scratch), num_distinct=min(num_clips, 10))
        once = [run_child(PREDICT_ONE.format(str(folder), str(clips[0]), time.time()))
                for _ in range(repeats)]  # fmt: skip
        names = [str(clips[number % len(clips)]) for number in range(num_clips)]
        some = run_child(PREDICT_ALL.format(str(folder), names[: max(1, num_clips // 10)]))
        states = {"now": Path.cwd()} | ({} if before is None else {"before": before})
        many = run_in_turns(states, PREDICT_ALL.format(str(folder), names), repeats)
    middle = sorted(once, key=lambda found: found["in all"])[len(once) // 2]
    rows: list[dict[str, Value]] = [
        {"step": step, "seconds": seconds, "share %": 100 * seconds / middle["in all"]}
        for step, seconds in middle.items()
    ]
    facts: dict[str, Value] = {}
    for state, found in many.items():
        facts[f"clips_per_s_{state}"] = num_clips / found["seconds"]
        facts[f"core_ms_a_clip_{state}"] = 1000 * found["core_s"] / num_clips
    if before is not None:
        facts["same_json"] = str(many["now"]["digest"] == many["before"]["digest"])
    show(
        "predicting", f"One clip of {CLIP_S:g} s, from the start of the process", rows,
        clips=num_clips, times_real_time=num_clips * CLIP_S / many["now"]["seconds"],
        peak_mb=many["now"]["peak_mb"], peak_mb_of_a_tenth=some["peak_mb"], **facts,
    )  # fmt: skip


def run_in_turns(
    states: Mapping[str, Path], code: str, repeats: int
) -> dict[str, dict[str, float]]:
    """Run code in each state of the code in turns; return the run of the median seconds of each."""
    found: dict[str, list[dict[str, float]]] = {state: [] for state in states}
    for _ in range(repeats):
        for state, folder in states.items():
            found[state].append(run_child(code, folder))
    return {
        state: sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
        for state, runs in found.items()
    }


def default_model() -> Path:
    """Return the first head that params.yaml trains here."""
    from oragen.config import paths
    from oragen.config.params import load_params

    params = load_params()
    return paths.head_folder(params.use_heads[0]) / f"seed-{params.train.seeds[0]}"


def make_clips(folder: Path, num_distinct: int) -> list[Path]:
    """Generate talking heads of `CLIP_S`."""
    from oragen.corpora.generator.clip import write_clip
    from oragen.corpora.generator.corpus import plan_clips
    from oragen.corpora.generator.spec import CorpusSpec

    spec = CorpusSpec(
        "studio", 2 * max(3, num_distinct), seed=1, duration_s=(CLIP_S, CLIP_S), fault_share=0.0
    )
    paths = []
    for number, plan in enumerate(plan_clips(spec)[:num_distinct]):
        paths.append(folder / f"{number}.mp4")
        write_clip(plan, paths[-1])
    return paths


def run_child(code: str, folder: Path | None = None) -> dict[str, float]:
    """Run code in a new process; it imports what is in the folder. Its last line is the result."""
    path = os.environ.get("PYTHONPATH", "")
    here = str(folder or Path.cwd())
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, cwd=here,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([here, path])},
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def predict_one(model: str, clip: str, started: float) -> None:
    """Predict one clip in this process, and print the seconds of each step."""
    from oragen.predictor import Predictor

    imported = time.time()
    import oragen.encoders  # noqa: F401

    with_encoders = time.time()
    predictor = Predictor.from_pretrained(model)
    loaded = time.time()
    seconds: dict[str, float] = dict.fromkeys(STEPS, 0.0)
    for step, (module, name) in STEPS.items():
        _time(seconds, step, module, name)
    prediction = predictor(clip)
    done = time.time()
    assert prediction is not None
    steps = {
        "start Python and imports": imported - started,
        "import encoders (transformers)": with_encoders - imported,
        "load head and encoders": loaded - with_encoders,
        **seconds,
        "other": done - loaded - sum(seconds.values()),
        "in all": done - started,
    }
    sys.stdout.write(json.dumps(steps) + "\n")


def predict_all(model: str, clips: list[str]) -> None:
    """Predict many clips in one run, and print what it took: seconds, work and memory."""
    from oragen.predictor import Predictor

    predictor = Predictor.from_pretrained(model)
    core_s, start = -count_core_s(resource.RUSAGE_SELF), time.perf_counter()
    texts = [prediction.to_json() for prediction in predictor.predict_files(clips)]
    seconds = time.perf_counter() - start
    assert len(texts) == len(clips)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    del predictor  # ends the processes that decode, so that their work is known
    core_s += count_core_s(resource.RUSAGE_SELF) + count_core_s(resource.RUSAGE_CHILDREN)
    digest = int.from_bytes(hashlib.sha256("".join(texts).encode()).digest()[:4])
    found = {"seconds": seconds, "core_s": core_s, "peak_mb": peak_mb, "digest": digest}
    sys.stdout.write(json.dumps(found) + "\n")


def count_core_s(who: int) -> float:
    """Return how long this process, or those that it started, have worked on a core."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _time(seconds: dict[str, float], step: str, module: str, name: str) -> None:
    """Add up the seconds of a function, where this module calls it."""
    owner = sys.modules[module]
    function: Callable[..., Any] = getattr(owner, name)

    @wraps(function)
    def timed(*arguments: object, **options: object) -> object:
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[step] += time.perf_counter() - start

    setattr(owner, name, timed)


if __name__ == "__main__":
    typer.run(main)
