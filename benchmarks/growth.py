"""Corpora of few and of many clips -> seconds of `dvc repro`: nothing new, and one new clip.

Each size has a clone of the project in a temporary folder, and one corpus. Its clips are sounds of
just over a second, with a picture each. Only the number of clips differs, so that the growth is the
cost of the rows. A corpus of a few clips shows the constant cost of starting DVC and Python.
"""

import argparse
import csv
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Int16
from tqdm import tqdm

from benchmarks.measuring import Value, show
from oragen.corpora.generator.speakers import draw_speaker
from oragen.corpora.generator.voice import speak
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, SAMPLE_RATE_HZ
from tests.project import Project, clone

CORPUS: Final = "many"
TARGET: Final = 3.0  # times the seconds at ten times the clips
DURATION_S: Final = 1.3
CROP_PX: Final = 32
SPLITS: Final = ("train",) * 16 + ("dev",) * 2 + ("test",) * 2  # of each speaker
NEW_SPEAKER: Final = len(SPLITS) - 1
STEPS: Final = ("nothing new", "one clip more")
STARTED: Final = re.compile(r"Running stage '([^']+)'")
LABELS: Final = (
    "audio_path", "image_path", "speaker_id", "gender", "age_years", "mask_type", "split",
)  # fmt: skip

Sound = Int16[np.ndarray, " samples"]


def main() -> None:
    """Compare `dvc repro` at several numbers of clips, in turns."""
    options = read_options()
    voices = [make_voice(speaker) for speaker in range(len(SPLITS))]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        sizes = [
            Size(count, make_project(Path(folder) / str(count), voices, count))
            for count in (len(SPLITS), *options.clips)
        ]
        for size in sizes:
            size.note("first run", repro(size.project), with_stages=False)
        for step in STEPS:
            for turn in range(options.repeats):
                for size in sizes:
                    if step == "one clip more":
                        add_clip(size, voices[NEW_SPEAKER], num_new=turn + 1)
                    size.note(step, repro(size.project))
    show(
        "growth", "Seconds of `dvc repro` by number of clips", to_rows(sizes),
        target_ratio=TARGET, repeats=options.repeats, cores=os.cpu_count(),
    )  # fmt: skip


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--folder", type=Path, help="where to work; some GB free")
    return parser.parse_args()


class StageSeconds(NamedTuple):
    """Seconds of a stage's program; then of DVC, which stores its outputs."""

    program: float
    dvc: float


class TimedRun(NamedTuple):
    """Seconds of a `dvc repro`: in all, before the first stage, and of each stage that ran."""

    seconds: float
    before: float
    stages: dict[str, StageSeconds]


@dataclass
class Size:
    """A project of so many clips, and the seconds of each kind of run in it."""

    num_clips: int
    project: Project
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, step: str, run: TimedRun, *, with_stages: bool = True) -> None:
        """Record a run; a new clip runs the stages that depend on it, and trains nothing."""
        is_new = step != "nothing new"
        assert is_new == bool(run.stages), f"{step}, and {[*run.stages]} ran"
        assert not (with_stages and any(name.startswith("train") for name in run.stages))
        self.seconds.setdefault(step, []).append(run.seconds)
        if not (with_stages and run.stages):
            return
        self.seconds.setdefault("- before the first stage", []).append(run.before)
        for stage, spent in run.stages.items():
            self.seconds.setdefault(f"- {stage}", []).append(spent.program)
            self.seconds.setdefault(f"- {stage}: then", []).append(spent.dvc)


def to_rows(sizes: Sequence[Size]) -> list[dict[str, Value]]:
    """Return a row for each title: median seconds at each size, and how the last two compare."""
    rows: list[dict[str, Value]] = []
    for title in sizes[0].seconds:
        medians = {size.num_clips: statistics.median(size.seconds[title]) for size in sizes}
        constant, *_, fewer, more = medians.values()
        row: dict[str, Value] = {"": title}
        row |= {f"{count:,} clips": round(spent, 2) for count, spent in medians.items()}
        row["ratio"] = compare(more, fewer)
        row["above the constant"] = compare(more - constant, fewer - constant)
        rows.append(row)
    return rows


def compare(more: float, fewer: float) -> float | None:
    """Return the ratio; None if the numbers are too small to compare."""
    return round(more / fewer, 2) if min(more, fewer) >= 0.1 else None


def repro(project: Project) -> TimedRun:
    """Run `dvc repro`, and note the time of each line of its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": str(project.folder), "NO_COLOR": "1"}
    start = time.perf_counter()
    with subprocess.Popen(
        ["dvc", "repro"], cwd=project.folder, env=os.environ | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = [(time.perf_counter() - start, line) for line in process.stdout]
    seconds = time.perf_counter() - start
    assert process.returncode == 0, "".join(line for _, line in lines)
    return split_by_stage(lines, seconds)


def split_by_stage(lines: Sequence[tuple[float, str]], seconds: float) -> TimedRun:
    """Return the seconds of each stage, from the lines of the output and their times."""
    starts = [(when, found[1]) for when, line in lines if (found := STARTED.search(line))]
    stops = [when for when, _ in [*starts, (seconds, "")]][1:]
    stages = {}
    for (start, stage), stop in zip(starts, stops, strict=True):
        account = f"{stage.replace('@', ' ')}:"
        ended = (when for when, line in lines if when > start and line.startswith(account))
        done = next(ended, stop)  # a stage that has nothing to account for
        stages[stage] = StageSeconds(done - start, stop - done)
    return TimedRun(seconds, starts[0][0] if starts else seconds, stages)


def make_project(folder: Path, voices: Sequence[Sound], num_clips: int) -> Project:
    """Clone the project and give it a corpus of so many clips."""
    folder.mkdir()
    project = clone(folder)
    corpus = {"reader": "csv", "root": f"data/corpora/{CORPUS}", "table": "labels.csv"}
    project.change(
        use_corpora=[CORPUS],
        corpora={CORPUS: corpus},
        speech={"pad_ms": 1_000},  # the picture counts at second 0: speech must start there
        faces={"detector": "none", "crop_px": CROP_PX},
        windows={"length_s": 2, "min_length_s": 0.5},
        encoders={"finetune": []},
        use_heads=["cross_attention"],
        train={"seeds": [0], "max_epochs": 1, "patience": 1},
    )
    media_folder(project).mkdir(parents=True)
    for number in tqdm(range(num_clips), desc=f"{num_clips:,} clips", unit="clip"):
        write_clip(project, voices[number % len(SPLITS)], number)
    write_labels(project, num_clips)
    return project


def media_folder(project: Project) -> Path:
    """Return the folder of the clips."""
    return project.folder / "data" / "corpora" / CORPUS


def make_voice(speaker: int) -> Sound:
    """Let a speaker say something: speech from the first to the last sample."""
    rng = np.random.default_rng(speaker)
    traits = draw_speaker(GENDERS[speaker % 2], age_of(speaker), rng)
    waveform = speak(traits.voice, DURATION_S, rng).waveform
    return np.round(waveform.clip(-1, 1) * (2**15 - 1)).astype(np.int16)


def write_clip(project: Project, voice: Sound, number: int) -> None:
    """Write a sound and a picture with bytes of their own."""
    rng = np.random.default_rng(number)
    faint = rng.integers(-8, 9, len(voice), dtype=np.int16)
    with wave.open(str(media_folder(project) / f"{number:06d}.wav"), "wb") as file:
        file.setparams((1, voice.itemsize, SAMPLE_RATE_HZ, 0, "NONE", ""))
        file.writeframes((voice + faint).tobytes())
    picture = rng.integers(0, 256, (CROP_PX, CROP_PX, 3), dtype=np.uint8)
    cv2.imwrite(str(media_folder(project) / f"{number:06d}.jpg"), picture)


def write_labels(project: Project, num_clips: int, *, num_new: int = 0) -> None:
    """Write the table: the clips of every speaker in turn, then new ones of a speaker in test."""
    speakers = [number % len(SPLITS) for number in range(num_clips)] + [NEW_SPEAKER] * num_new
    with (media_folder(project) / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, LABELS)
        writer.writeheader()
        writer.writerows(to_label(number, speaker) for number, speaker in enumerate(speakers))


def to_label(number: int, speaker: int) -> dict[str, str]:
    """Return the row of a clip in the table."""
    return {
        "audio_path": f"{number:06d}.wav",
        "image_path": f"{number:06d}.jpg",
        "speaker_id": f"speaker-{speaker}",
        "gender": GENDERS[speaker % 2],
        "age_years": str(age_of(speaker)),
        "mask_type": MASK_TYPES[number % len(MASK_TYPES)],
        "split": SPLITS[speaker],
    }


def add_clip(size: Size, voice: Sound, *, num_new: int) -> None:
    """Write the `num_new`-th new clip."""
    write_clip(size.project, voice, size.num_clips + num_new - 1)
    write_labels(size.project, size.num_clips, num_new=num_new)


def age_of(speaker: int) -> int:
    """Return the age of a speaker: they are spread over adult ages."""
    return 20 + 3 * speaker


if __name__ == "__main__":
    main()
