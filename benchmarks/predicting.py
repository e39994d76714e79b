"""A clip -> the seconds of each step of its prediction, from the start of the process.

Below the table: many clips in one run, whose decoding overlaps with the encoders, and its memory.
The clips are generated. The model is the one trained here, unless another is named.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from benchmarks.measuring import Value, show

CLIP_S: Final = 6.0
PREDICT_ONE: Final = "from benchmarks.predicting import predict_one; predict_one({!r}, {!r}, {!r})"
PREDICT_ALL: Final = "from benchmarks.predicting import predict_all; predict_all({!r}, {!r}, {!r})"
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
    repeats: Annotated[int, typer.Option(help="Processes that predict one clip.")] = 3,
) -> None:
    """Time one prediction by its steps, and many predictions."""
    folder = model or default_model()
    with tempfile.TemporaryDirectory() as scratch:
        clips = make_clips(Path(scratch), num_distinct=min(num_clips, 10))
        once = [run_child(PREDICT_ONE.format(str(folder), str(clips[0]), time.time()))
                for _ in range(repeats)]  # fmt: skip
        names = [str(clips[number % len(clips)]) for number in range(num_clips)]
        some = run_child(PREDICT_ALL.format(str(folder), names[: max(1, num_clips // 10)], CLIP_S))
        many = run_child(PREDICT_ALL.format(str(folder), names, CLIP_S))
    middle = sorted(once, key=lambda found: found["in all"])[len(once) // 2]
    rows: list[dict[str, Value]] = [
        {"step": step, "seconds": seconds, "share %": 100 * seconds / middle["in all"]}
        for step, seconds in middle.items()
    ]
    show(
        "predicting", f"One clip of {CLIP_S:g} s, from the start of the process", rows,
        clips=num_clips, clips_per_s=num_clips / many["seconds"],
        times_real_time=num_clips * CLIP_S / many["seconds"],
        peak_mb=many["peak_mb"], peak_mb_of_a_tenth=some["peak_mb"],
    )  # fmt: skip


def default_model() -> Path:
    """Return the first head that params.yaml trains here."""
    from oragen.config import paths
    from oragen.config.params import load_params

    params = load_params()
    return paths.head_folder(params.use_heads[0]) / f"seed-{params.train.seeds[0]}"


def make_clips(folder: Path, num_distinct: int) -> list[Path]:
    """Generate talking heads of `CLIP_S`."""
    from oragen.corpora.generator import CorpusSpec, plan_clips, write_clip

    spec = CorpusSpec(
        "studio", 2 * max(3, num_distinct), seed=1, duration_s=(CLIP_S, CLIP_S), fault_share=0.0
    )
    paths = []
    for number, plan in enumerate(plan_clips(spec)[:num_distinct]):
        paths.append(folder / f"{number}.mp4")
        write_clip(plan, paths[-1])
    return paths


def run_child(code: str) -> dict[str, float]:
    """Run code in a new process; its last line is the result."""
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
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


def predict_all(model: str, clips: list[str], clip_s: float) -> None:
    """Predict many clips in one run, and print its seconds and the peak of memory."""
    from oragen.predictor import Predictor

    predictor = Predictor.from_pretrained(model)
    start = time.perf_counter()
    num_predicted = sum(prediction.is_predicted for prediction in predictor.predict_files(clips))
    seconds = time.perf_counter() - start
    assert num_predicted == len(clips)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"seconds": seconds, "peak_mb": peak_mb, "clip_s": clip_s}
    sys.stdout.write(json.dumps(found) + "\n")


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
