"""A spoilt file -> what became of it, in a process of its own home and working folder."""

import logging
import os
import random
import resource
import shutil
import tempfile
import time
import traceback
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never, get_args

import numpy as np

from benchmarks.fuzzed_inputs import Kind, write_spoilt
from oragen.config.params import load_params
from oragen.corpora.csv import read_csv
from oragen.corpora.manifest import build_manifest
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS
from oragen.store.formats import PartFormat
from oragen.store.parts import PartStore

if TYPE_CHECKING:
    from oragen.predictor import Prediction, Predictor

SECRET: Final = "a file that no input may read"
MEBIBYTE: Final = 2**20
LINES: Final = 12  # of a traceback


class Outcome(NamedTuple):
    """What became of one input."""

    kind: Kind
    number: int
    verdict: str  # "used", "refused", or the weakness
    message: str
    seconds: float
    peak_mb: float  # of the process until now, and of its children


class Task(NamedTuple):
    """An input to make and read."""

    scratch: Path
    kind: Kind
    number: int
    seed: int


def try_one(task: Task) -> Outcome:
    """Spoil a good input by a seed of its own, and read it."""
    scratch, kind, number, seed = task
    _settle(scratch)
    folder = scratch / "inputs" / f"{kind}-{number}"
    folder.mkdir()
    write_spoilt(kind, scratch / "good", folder, random.Random(f"{seed} {kind} {number}"))
    start = time.monotonic()
    try:
        message = read_input(kind, folder, scratch / "good")
        verdict = "refused" if message else "used"
    except Exception:  # any is a weakness, whatever it is
        verdict, message = "traceback", "".join(traceback.format_exc().splitlines(True)[-LINES:])
    if SECRET in message:
        verdict = "showed a file outside"
    if verdict in ("used", "refused"):
        shutil.rmtree(folder)
    return Outcome(kind, number, verdict, message, time.monotonic() - start, _peak_mb())


@cache
def _settle(scratch: Path) -> None:
    """Give this process a home, a folder for temporary files and a working folder of its own."""
    os.environ |= {
        "HOME": str(scratch / "home"), "TMPDIR": str(scratch / "temporary"), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        del os.environ[name]
    tempfile.tempdir = None
    logging.disable()  # a line for each of thousands of refusals
    os.chdir(scratch / "outside")


def _peak_mb() -> float:
    own, children = (
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return max(own, children) * 1_024 / MEBIBYTE


def read_input(kind: Kind, folder: Path, good: Path) -> str:
    """Read an input as the pipeline and the predictor do; return why it is refused, or ""."""
    try:
        match kind:
            case "media":
                return _read_media(folder, good)
            case "part":
                return _read_parts(folder, good / kind)
            case "header":
                return _read_forged(folder, good / "part")
            case "model":
                _predict(_load(folder / "tiny"), good / "media" / "talk.mp4")
            case "table":
                _read_table(folder)
            case "params":
                load_params(folder / "params.yaml")
            case _:
                assert_never(kind)
    except UserError as error:
        return str(error)
    return ""


def _read_media(folder: Path, good: Path) -> str:
    """Predict from a file with the good model; return why it is of no use, if so."""
    [path] = folder.iterdir()
    prediction = _predict(_load(good / "model" / "tiny"), path)
    reasons = [report.reason for report in prediction.modalities.values() if report.reason]
    return "" if prediction.is_predicted else "; ".join(reasons)


@lru_cache(2)
def _load(folder: Path) -> "Predictor":
    from oragen.predictor import Predictor

    return Predictor.from_pretrained(folder, device="cpu")


def _read_parts(folder: Path, good: Path) -> str:
    """Read all rows as a stage that needs them does; what is read must be what was written.

    Raises:
        ValueError: a spoilt row was taken for a good one.
    """
    problems: list[str] = []
    for part_format in get_args(PartFormat):
        written = _read_rows(PartStore(good, part_format))
        try:
            read = _read_rows(PartStore(folder, part_format))
        except UserError as error:
            problems.append(str(error))
            continue
        wrong = [key for key in read if not np.array_equal(read[key], written[key])]
        if wrong:
            raise ValueError(f"the {part_format} part has other values of {wrong}")
        if missing := written.keys() - read.keys():
            problems.append(f"{len(missing)} rows of the {part_format} part are not used")
    return "; ".join(problems)


def _read_forged(folder: Path, good: Path) -> str:
    """Read all rows of parts whose headers were forged: they may say what the header says."""
    problems: list[str] = []
    for part_format in get_args(PartFormat):
        written = PartStore(good, part_format).index()
        try:
            read = _read_rows(PartStore(folder, part_format))
        except UserError as error:
            problems.append(str(error))
            continue
        if missing := written.keys() - read.keys():
            problems.append(f"{len(missing)} rows of the {part_format} part are not used")
    return "; ".join(problems)


def _read_rows(store: PartStore) -> dict[str, np.ndarray]:
    located = [*store.index().values()]
    return {item.row.key: values.copy() for item, values in store.read_many(located)}


def _predict(predictor: "Predictor", clip: Path) -> "Prediction":
    """Predict from a clip; the numbers must be finite."""
    [prediction] = predictor.predict_files([clip])
    text = prediction.to_json()
    if "NaN" in text or "Infinity" in text:
        raise ValueError(f"the prediction is not finite: {text}")
    return prediction


def _read_table(folder: Path) -> None:
    """List the clips of a corpus, and write its table as `index_clips` does."""
    records = read_csv("mine", folder, Path("labels.csv"), {})
    manifest = build_manifest("mine", folder, records, None)
    CLIPS.write(folder / "clips.parquet", manifest.clips)
