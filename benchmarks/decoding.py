"""Clips -> clips a second of sound, speech and faces, by one process and by several.

The processes are those of the stages `decode_audio`, `detect_speech` and `crop_faces`, and are
started before. Work is the time on a core: it shows what the ratio would be where nobody else uses
the cores. The clips are generated, unless a folder is named.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import typer

from benchmarks.measuring import Value, count_work, show, time_in_turns
from benchmarks.predicting import make_clips
from oragen.detection.faces import CropOptions, crop_clip
from oragen.detection.speech import SpeechOptions, detect_samples_speech
from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, Workers
from oragen.media.audio import decode_clip

MAX_DURATION_S = 7200.0  # as in params.yaml, and so are the options below
SPEECH = SpeechOptions(threshold=0.5, min_speech_ms=250, min_silence_ms=100, pad_ms=30)
FACES = CropOptions("cascade", None, 0.6, 2, 0.15, 96, MAX_DURATION_S)


class Step(NamedTuple):
    """What is done with every clip, and what it is done with."""

    make: Callable[..., object]
    sources: Sequence[object]


def main(
    media: Annotated[Path | None, typer.Option(help="A folder of MP4 files.")] = None,
    num_clips: Annotated[int, typer.Option(help="Generated clips.")] = 20,
    num_processes: Annotated[int, typer.Option(help="How many to compare with one.")] = 2,
    repeats: Annotated[int, typer.Option(help="Passes of each way, in turns.")] = 5,
) -> None:
    """Time each step by one process and by several."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clips = sorted(media.glob("*.mp4")) if media else make_clips(scratch, num_clips)
        steps = plan_steps(clips)
        pools = {
            number: stack.enter_context(Workers(number, limits=Limits()))
            for number in (1, num_processes)
        }
        core_s: dict[str, list[float]] = defaultdict(list)
        timings = time_in_turns(
            {
                f"{name}, {number}": partial(run, pool, step, core_s[f"{name}, {number}"])
                for name, step in steps.items()
                for number, pool in pools.items()
            },
            repeats=repeats,
        )
    seconds = {way: timing.median for way, timing in timings.items()}
    work = {way: median(measured[1:]) for way, measured in core_s.items()}  # less the warm-up
    for number in pools:
        for measured in (seconds, work):
            measured[f"all, {number}"] = sum(measured[f"{name}, {number}"] for name in steps)
    show(
        "decoding", f"{len(clips)} clips, medians of {repeats}",
        [describe(name, len(clips), seconds, work, num_processes) for name in [*steps, "all"]],
        clips=str(media.name) if media else "generated", detector=FACES.detector,
    )  # fmt: skip


def describe(
    name: str,
    num_clips: int,
    seconds: Mapping[str, float],
    work: Mapping[str, float],
    num_processes: int,
) -> dict[str, Value]:
    """Return the row of a step: speed by one process and by several, and the work of a clip."""
    one, several = f"{name}, 1", f"{name}, {num_processes}"
    return {
        "step": name,
        "clips/s, 1 process": num_clips / seconds[one],
        f"clips/s, {num_processes} processes": num_clips / seconds[several],
        "ratio": seconds[one] / seconds[several],
        "core ms a clip, 1": 1000 * work[one] / num_clips,
        f"core ms a clip, {num_processes}": 1000 * work[several] / num_clips,
    }


def plan_steps(clips: Sequence[Path]) -> dict[str, Step]:
    """Clips -> the calls of the three stages."""
    decode = partial(decode_clip, max_duration_s=MAX_DURATION_S)
    return {
        "decode sound": Step(decode, clips),
        "detect speech": Step(
            partial(detect_samples_speech, options=SPEECH),
            [decode(clip).values for clip in clips],
        ),
        "crop faces": Step(partial(crop_clip, options=FACES), clips),
    }


def run(workers: Workers, step: Step, core_s: list[float]) -> None:
    """Do a step with all clips, and note the work."""
    done = list(workers.map(partial(count_work, step.make), step.sources))
    core_s.append(sum(one for one in done if not isinstance(one, Failure)))
    assert len(done) == sum(isinstance(one, float) for one in done)


if __name__ == "__main__":
    typer.run(main)
