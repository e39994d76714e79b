"""Predictions, one after the other -> a JSON, JSON Lines, CSV or Parquet file, or words."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from oragen.predictor.prediction import ClassPrediction, Prediction
from oragen.reporting.figures import ClipPredictions, ExampleWindow
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

SUFFIXES: Final = (".json", ".jsonl", ".csv", ".parquet")
STANDARD_OUTPUT: Final = Path("-")
Row = dict[str, str | float | int | bool | None]
Write = Callable[[Prediction], None]


class OutputError(UserError):
    """A file that cannot be written, or of a kind that is not known."""


def check_suffix(target: Path) -> None:
    """Refuse a file of an unknown kind.

    Raises:
        OutputError: with the kinds that there are.
    """
    if target != STANDARD_OUTPUT and target.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"{target} does not end in one of {', '.join(SUFFIXES)}, which say how predictions are "
            "written. `-` writes JSON lines to standard output."
        )


@contextmanager
def open_output(target: Path, *, as_object: bool = False) -> Iterator[Write]:
    """Give a function that takes predictions one by one, and have written them at the end.

    JSON lines go straight to the target, so those of an interrupted run are kept. Files of other
    kinds appear under their name when they are whole; after an error they do not.

    Args:
        target: the suffix says what is written, see `SUFFIXES`; `-` is standard output.
        as_object: write JSON of the only prediction, and not a list.

    Raises:
        OutputError: of an unknown kind, or cannot be written; before anything is taken.
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
                place.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            )
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror}.") from error
        if suffix == ".jsonl":
            yield lambda prediction: _append(file, prediction)
            return
        predictions: list[Prediction] = []
        yield predictions.append
        _write_whole(file, suffix, predictions, as_object=as_object)


def flatten(prediction: Prediction) -> Row:
    """Return what a table says of one clip; its columns of labels are those of the model."""
    age, length_s = prediction.age, prediction.length_s
    low, high = (age and age.interval) or (None, None)
    audio, face = prediction.modalities["audio"], prediction.modalities["face"]
    return {
        "input": printable(prediction.input),
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
    }


def describe(prediction: Prediction) -> list[str]:
    """Say what was answered: gender, age and mask type, each in a few words."""
    gender, age, mask_type = prediction.gender, prediction.age, prediction.mask_type
    if gender is None or age is None:
        return [f"no answer ({reasons_of(prediction)})"]
    years = f"{age.value:.0f} years"
    if age.interval is not None:
        low, high = age.interval
        years += f" ({low:.0f}–{high:.0f})"
    words = [f"{gender.label} {gender.probabilities[gender.label]:.0%}", years]
    if mask_type is not None:
        worn = "no mask" if mask_type.label == "none" else f"mask: {mask_type.label}"
        words.append(f"{worn} {mask_type.probabilities[mask_type.label]:.0%}")
    return words


def reasons_of(prediction: Prediction) -> str:
    """Say in one line what was missing; what holds for sound and face alike is said once."""
    reasons = {report.reason for report in prediction.modalities.values()}
    return reasons.pop() or "" if len(reasons) == 1 else prediction.reasons


def to_picture(prediction: Prediction) -> ClipPredictions:
    """Return what `oragen.reporting.figures.prediction.draw_answers` draws."""
    age = prediction.age
    return ClipPredictions(
        title=printable(Path(prediction.input).name),
        answer=", ".join(describe(prediction)),
        length_s=prediction.length_s,
        age_years=None if age is None else age.value,
        age_interval=None if age is None else age.interval,
        windows=[
            ExampleWindow(
                start_s=window.span.start / SAMPLE_RATE_HZ,
                stop_s=window.span.stop / SAMPLE_RATE_HZ,
                genders=window.gender.probabilities,
                age_years=window.age_years,
                mask_types=window.mask_type.probabilities if window.mask_type else {},
            )
            for window in prediction.windows
        ],
        speech_s=[
            (span.start / SAMPLE_RATE_HZ, span.stop / SAMPLE_RATE_HZ) for span in prediction.speech
        ],
        faces_s=find_stretches([box.time_s for box in prediction.faces]),
        no_speech=prediction.modalities["audio"].reason or "no speech",
        no_face=prediction.modalities["face"].reason or "no face",
    )


def find_stretches(times_s: Sequence[float]) -> list[tuple[float, float]]:
    """Join seconds that follow each other, named by their beginnings, to half-open stretches."""
    stretches: list[tuple[float, float]] = []
    for time_s in times_s:
        if stretches and time_s <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], time_s + 1)
        else:
            stretches.append((time_s, time_s + 1))
    return stretches


def printable(name: str) -> str:
    """Return the name of a file that may be in no known encoding, with escapes for what is not."""
    return name.encode("utf-8", "backslashreplace").decode()


def _flatten_class(task: str, answer: ClassPrediction | None) -> Row:
    if answer is None:
        return {task: None}
    shares = {f"{task}_{label}": round(share, 6) for label, share in answer.probabilities.items()}
    return {task: answer.label, **shares}


def _write_to_standard_output(prediction: Prediction) -> None:
    sys.stdout.write(_to_line(prediction, as_ascii=True))  # a terminal may be in any encoding
    sys.stdout.flush()


def _append(file: TextIOWrapper, prediction: Prediction) -> None:
    file.write(_to_line(prediction, as_ascii=False))
    file.flush()


def _to_line(prediction: Prediction, *, as_ascii: bool) -> str:
    return json.dumps(prediction.to_dict(), ensure_ascii=as_ascii, allow_nan=False) + "\n"


def _write_whole(
    file: TextIOWrapper, suffix: str, predictions: Sequence[Prediction], *, as_object: bool
) -> None:
    if suffix == ".json":
        written = [prediction.to_dict() for prediction in predictions]
        [content] = [written[0]] if as_object else [written]
        json.dump(content, file, ensure_ascii=False, allow_nan=False, indent=2)
        file.write("\n")
        return
    rows = [flatten(prediction) for prediction in predictions]
    columns = _columns(rows)
    if suffix == ".csv":
        writer = csv.DictWriter(file, columns.names)
        writer.writeheader()
        writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows, schema=columns), file.buffer)


_KINDS: Final = {
    "num_windows": pa.int64(), "age": pa.float64(), "age_low": pa.float64(),
    "age_high": pa.float64(), "length_sec": pa.float64(), "audio_usable": pa.bool_(),
    "face_usable": pa.bool_(), "input": pa.string(), "status": pa.string(),
    "gender": pa.string(), "mask_type": pa.string(), "audio_reason": pa.string(),
    "face_reason": pa.string(),
}  # fmt: skip


def _columns(rows: Sequence[Row]) -> pa.Schema:
    """Return the columns of a table of rows, in which a clip without an answer has fewer."""
    widest = max(rows, key=len, default={})
    return pa.schema([(name, _KINDS.get(name, pa.float64())) for name in widest])
