"""A question about a clip -> where the time goes, from the start of the process to the answer.

Below it: many clips in one go, whose decoding overlaps with the encoders, and the memory they take.
The clips are generated; the model is the one that was trained here, unless another is named.
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
ANSWER_ONCE: Final = "from benchmarks.predicting import answer_once; answer_once({!r}, {!r}, {!r})"
ANSWER_ALL: Final = "from benchmarks.predicting import answer_all; answer_all({!r}, {!r}, {!r})"
# What is timed inside an answer: the modules that call a function, and its name there.
STEPS: Final = {
    "decode sound": ("oragen.predictor.clip_inputs", "decode_clip"),
    "find speech": ("oragen.predictor.clip_inputs", "detect_samples_speech"),
    "find and crop faces": ("oragen.predictor.clip_inputs", "crop_clip"),
    "encode sound and faces": ("oragen.predictor.predictor", "embed_windows"),
    "answer": ("oragen.predictor.predictor", "predict_windows"),
}


def main(
    model: Annotated[
        Path | None, typer.Option(help="Folder of a head; default: params.yaml's.")
    ] = None,
    num_clips: Annotated[int, typer.Option(help="Clips that are asked about in one go.")] = 200,
    repeats: Annotated[int, typer.Option(help="Processes that answer about one clip.")] = 3,
) -> None:
    """Time one answer by its steps, and many answers."""
    folder = model or default_model()
    with tempfile.TemporaryDirectory() as scratch:
        clips = make_clips(Path(scratch), num_distinct=min(num_clips, 10))
        once = [run_child(ANSWER_ONCE.format(str(folder), str(clips[0]), time.time()))
                for _ in range(repeats)]  # fmt: skip
        names = [str(clips[number % len(clips)]) for number in range(num_clips)]
        some = run_child(ANSWER_ALL.format(str(folder), names[: max(1, num_clips // 10)], CLIP_S))
        many = run_child(ANSWER_ALL.format(str(folder), names, CLIP_S))
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
    """Run code in a fresh process; its last line is what it found."""
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def answer_once(model: str, clip: str, started: float) -> None:
    """Answer about one clip in this process, and print the seconds of each step."""
    from oragen.predictor import Predictor

    imported = time.time()
    import oragen.encoders  # noqa: F401

    with_encoders = time.time()
    predictor = Predictor.from_pretrained(model)
    loaded = time.time()
    seconds: dict[str, float] = dict.fromkeys(STEPS, 0.0)
    for step, (module, name) in STEPS.items():
        _time(seconds, step, module, name)
    answer = predictor(clip)
    done = time.time()
    assert answer is not None
    steps = {
        "start Python and imports": imported - started,
        "import encoders (transformers)": with_encoders - imported,
        "load head and encoders": loaded - with_encoders,
        **seconds,
        "other": done - loaded - sum(seconds.values()),
        "in all": done - started,
    }
    sys.stdout.write(json.dumps(steps) + "\n")


def answer_all(model: str, clips: list[str], clip_s: float) -> None:
    """Answer about many clips in one go, and print how long it took and the peak of memory."""
    from oragen.predictor import Predictor

    predictor = Predictor.from_pretrained(model)
    start = time.perf_counter()
    num_answered = sum(answer.is_predicted for answer in predictor.predict_files(clips))
    seconds = time.perf_counter() - start
    assert num_answered == len(clips)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"seconds": seconds, "peak_mb": peak_mb, "clip_s": clip_s}
    sys.stdout.write(json.dumps(found) + "\n")


def _time(seconds: dict[str, float], step: str, module: str, name: str) -> None:
    """Add up the time that a function takes, where this module calls it."""
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
