"""Predictions, one after the other -> a JSON, JSON Lines, CSV or Parquet file, or words."""

import csv
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from oragen.predictor.prediction import DISTANCE_DIGITS, ClassPrediction, Prediction
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.names import encodable, neutralise
from oragen.schema.surroundings import explain_os_error

SUFFIXES: Final = (".json", ".jsonl", ".csv", ".parquet")
STANDARD_OUTPUT: Final = Path("-")
Row = dict[str, str | float | int | bool | None]
Write = Callable[[Prediction], None]


class OutputError(UserError):
    """A file that cannot be written, or has an unknown suffix."""


def check_suffix(target: Path) -> None:
    """Refuse a file with an unknown suffix.

    Raises:
        OutputError: names the known ones.
    """
    if target != STANDARD_OUTPUT and target.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"{target} must end in one of {', '.join(SUFFIXES)}. The suffix chooses the format of "
            "the predictions. `-` writes JSON lines to standard output."
        )


@contextmanager
def open_output(target: Path, *, as_object: bool = False) -> Iterator[Write]:
    """Yield a function that takes predictions one by one; they are written at the end.

    JSON lines go straight to the target, so those of an interrupted run are kept. Only one process
    may write them. Files of other formats get their name when they are complete; after an error
    there is none. If several processes write one, the last to end leaves its whole file.

    Args:
        target: the suffix chooses the format, see `SUFFIXES`; `-` is standard output.
        as_object: write JSON of the only prediction, and not a list.

    Raises:
        OutputError: the suffix is unknown, or the file cannot be written; before the first
            prediction.
    """
    check_suffix(target)
    suffix = target.suffix.lower()
    if target == STANDARD_OUTPUT:
        yield _write_to_standard_output
        return
    if target.is_dir():
        raise OutputError(f"{target} is a folder. Name a file to write predictions to.")
    with ExitStack() as stack:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            place = target if suffix == ".jsonl" else stack.enter_context(atomic_write(target))
            # A name that is not UTF-8 becomes an escape, in JSON one that gives the name again.
            file = stack.enter_context(
                place.open("a", encoding="utf-8", errors="backslashreplace", newline="")
            )
            _take(file, target)
        except OSError as error:
            error.filename = str(target)
            raise OutputError(explain_os_error(error)) from error
        if suffix == ".jsonl":
            yield lambda prediction: _append(file, prediction)
            return
        predictions: list[Prediction] = []
        yield predictions.append
        _write_whole(file, suffix, predictions, as_object=as_object)


def _take(file: TextIOWrapper, target: Path) -> None:
    """Empty a file that was opened for appending, unless another process is writing to it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"Another process is writing to {target}. Wait for its end, or name another file."
        ) from error
    except OSError:  # a file system without locks
        pass
    if file.seekable():  # a pipe is not
        file.seek(0)  # `truncate` alone leaves the place behind the old end
        file.truncate()


def flatten(prediction: Prediction) -> Row:
    """Return the row of one clip in a table; the columns of labels are those of the model."""
    age, length_s = prediction.age, prediction.length_s
    unfamiliarity = prediction.unfamiliarity
    low, high = (age and age.interval) or (None, None)
    audio, face = prediction.modalities["audio"], prediction.modalities["face"]
    return {
        "input": encodable(prediction.input),
        "status": "ok" if prediction.is_predicted else "no_predictions",
        **_flatten_class("gender", prediction.gender),
        "age": None if age is None else round(age.value, 3),
        "age_low": None if low is None else round(low, 3),
        "age_high": None if high is None else round(high, 3),
        **_flatten_class("mask_type", prediction.mask_type),
        "num_windows": len(prediction.windows),
        "audio_usable": audio.usable,
        "audio_reason": audio.reason,
        "face_usable": face.usable,
        "face_reason": face.reason,
        "length_sec": round(length_s, 3),
        **prediction.quality,
        "unfamiliarity": None if unfamiliarity is None else round(unfamiliarity, DISTANCE_DIGITS),
        "unfamiliar": prediction.unfamiliar,
        "warnings": " ".join(prediction.warnings) or None,
    }


def describe(prediction: Prediction) -> list[str]:
    """Describe a prediction: gender, age and mask type, each in a few words."""
    gender, age, mask_type = prediction.gender, prediction.age, prediction.mask_type
    if gender is None or age is None:
        return [f"no prediction ({reasons_of(prediction)})"]
    years = f"{age.value:.0f} years"
    if age.interval is not None:
        low, high = age.interval
        years += f" ({low:.0f}–{high:.0f})"
    words = [f"{gender.label} {gender.probabilities[gender.label]:.0%}{name_others(gender)}", years]
    if mask_type is not None:
        mask = "no mask" if mask_type.label == "none" else f"mask: {mask_type.label}"
        share = mask_type.probabilities[mask_type.label]
        words.append(f"{mask} {share:.0%}{name_others(mask_type)}")
    return words


def name_others(prediction: ClassPrediction) -> str:
    """Name the other labels that the true one may be; nothing where the prediction decides."""
    others = [label for label in prediction.label_set or () if label != prediction.label]
    return f" (or {', '.join(others)})" if others else ""


def reasons_of(prediction: Prediction) -> str:
    """Return in one line what was missing; a reason of both modalities is given once."""
    reasons = {report.reason for report in prediction.modalities.values()}
    return reasons.pop() or "" if len(reasons) == 1 else prediction.reasons


def _flatten_class(task: str, prediction: ClassPrediction | None) -> Row:
    if prediction is None:
        return {task: None}
    shares = {
        f"{task}_{label}": round(share, 6) for label, share in prediction.probabilities.items()
    }
    label_set = prediction.label_set
    return {
        task: prediction.label, **shares,
        f"{task}_set": None if label_set is None else " ".join(label_set),
    }  # fmt: skip


def _write_to_standard_output(prediction: Prediction) -> None:
    sys.stdout.write(_to_line(prediction, as_ascii=True))  # a terminal may be in any encoding
    sys.stdout.flush()


def _append(file: TextIOWrapper, prediction: Prediction) -> None:
    """Write a line; where it does not fit on the disk, take the half that does away again.

    A reader of a pipe may have got the half.
    """
    line = _to_line(prediction, as_ascii=False).encode("utf-8", "backslashreplace")
    descriptor = file.fileno()
    start = os.lseek(descriptor, 0, os.SEEK_CUR) if file.seekable() else None
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError as error:
        if start is not None:
            os.ftruncate(descriptor, start)
        error.filename = file.name
        raise


def _to_line(prediction: Prediction, *, as_ascii: bool) -> str:
    return json.dumps(prediction.to_dict(), ensure_ascii=as_ascii, allow_nan=False) + "\n"


def _write_whole(
    file: TextIOWrapper, suffix: str, predictions: Sequence[Prediction], *, as_object: bool
) -> None:
    if suffix == ".json":
        objects = [prediction.to_dict() for prediction in predictions]
        json.dump(
            objects[0] if as_object else objects,
            file,
            ensure_ascii=False,
            allow_nan=False,
            indent=2,
        )
        file.write("\n")
        return
    rows = [flatten(prediction) for prediction in predictions]
    columns = _columns(rows)
    if suffix == ".csv":
        writer = csv.DictWriter(file, columns.names)
        writer.writeheader()
        writer.writerows({name: neutralise(cell) for name, cell in row.items()} for row in rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows, schema=columns), file.buffer)


_KINDS: Final = {
    "input": pa.string(), "status": pa.string(), "gender": pa.string(), "gender_set": pa.string(),
    "age": pa.float64(), "age_low": pa.float64(), "age_high": pa.float64(),
    "mask_type": pa.string(), "mask_type_set": pa.string(), "num_windows": pa.int64(),
    "audio_usable": pa.bool_(), "audio_reason": pa.string(), "face_usable": pa.bool_(),
    "face_reason": pa.string(), "length_sec": pa.float64(), "num_crops": pa.int64(),
    "unfamiliarity": pa.float64(), "unfamiliar": pa.bool_(), "warnings": pa.string(),
}  # fmt: skip


def _columns(rows: Sequence[Row]) -> pa.Schema:
    """Return the columns of a table of rows; that of a clip without a prediction has fewer."""
    widest = max(rows, key=len, default={})
    return pa.schema([(name, _KINDS.get(name, pa.float64())) for name in widest])
