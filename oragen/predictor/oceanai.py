"""Predictions and a result table of OCEAN-AI -> one table of personality, gender, age and mask.

OCEAN-AI (github.com/aimclub/OCEANAI) outputs a data frame indexed by `Person ID` ("1", "2", ...),
whose `Path` is the bare name of a file. Some of its practical tasks read columns by position, so
our columns are added after its own, in a copy.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, Final

import pandas as pd

from oragen.schema.errors import UserError
from oragen.schema.names import encodable

INDEX: Final = "Person ID"
PATH: Final = "Path"
ADDED: Final = ("Age", "Gender", "Gender score", "Mask")
MAX_NAMED: Final = 3


class OceanAiError(UserError):
    """Predictions and a table of OCEAN-AI that cannot be merged."""


def to_frame(
    predictions: Sequence[Mapping[str, Any]], *, with_folders: bool = False
) -> pd.DataFrame:
    """Predictions -> a data frame in the layout of OCEAN-AI's results, in the same order.

    Args:
        predictions: as `Prediction.to_dict` returns them.
        with_folders: keep the whole path of each clip; OCEAN-AI keeps only the name.

    Returns:
        a data frame indexed by `Person ID` with `Path`, `Age` in years, `Gender`, `Gender score`
        (the probability of that gender, 0..1) and `Mask`. A clip without a prediction has only
        `Path`. `Mask` is empty if the model does not predict it.

    Raises:
        OceanAiError: an item is no prediction.
    """
    rows = [_to_row(prediction, with_folders=with_folders) for prediction in predictions]
    person_ids = pd.Index(
        [str(number) for number in range(1, len(rows) + 1)], name=INDEX, dtype=object
    )
    frame = pd.DataFrame(rows, index=person_ids, columns=[PATH, *ADDED], dtype=object)
    return frame.astype({"Age": float, "Gender score": float})


def merge(theirs: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Add our columns after those of OCEAN-AI, whose rows, order, index and values stay the same.

    Rows are matched by the name of the file, or by the whole path if both tables have folders in
    `Path`. A row without a prediction gets empty columns. A prediction without a row is skipped.

    Args:
        theirs: of OCEAN-AI, such as `b5.df_files_`; it is not changed.
        ours: from `to_frame`.

    Raises:
        OceanAiError: theirs has no `Path` or our columns already, or a name is listed twice.
    """
    if PATH not in theirs.columns:
        raise OceanAiError(
            f"The table of OCEAN-AI has no column {PATH!r}, found {list(theirs.columns)}. Give "
            "`b5.df_files_`, or the CSV file that OCEAN-AI writes."
        )
    if present := [column for column in ADDED if column in theirs.columns]:
        raise OceanAiError(
            f"The table of OCEAN-AI has the columns {present} already. Give the one that OCEAN-AI "
            "wrote, without ours."
        )
    by_path = _has_folders(theirs[PATH]) and _has_folders(ours[PATH])
    keys_of_theirs = _keys("the table of OCEAN-AI", theirs[PATH], by_path=by_path)
    keyed = ours.set_axis(_keys("the predictions", ours[PATH], by_path=by_path))
    added = keyed[list(ADDED)].reindex(keys_of_theirs).set_axis(theirs.index)
    return pd.concat([theirs.copy(), added], axis="columns")


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Read a file of `oragen predict`: one prediction or a list (JSON), or one a line (JSONL).

    Raises:
        OceanAiError: the file cannot be read, or is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OceanAiError(
            f"{path} cannot be read: {error}. Name a file that `oragen predict` wrote."
        ) from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = [_read_line(path, line) for line in text.splitlines() if line.strip()]
    return content if isinstance(content, list) else [content]


def read_results(path: Path) -> pd.DataFrame:
    """Read a CSV file of OCEAN-AI; every value stays a text.

    Raises:
        OceanAiError: the file cannot be read as a table.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise OceanAiError(
            f"{path} cannot be read as a table: {error}. Name a CSV file that OCEAN-AI wrote."
        ) from error
    return frame.set_index(INDEX) if INDEX in frame.columns else frame


def has_folders(frame: pd.DataFrame) -> bool:
    """Return whether `Path` has folders, and not only names of files."""
    return PATH in frame.columns and _has_folders(frame[PATH])


def _read_line(path: Path, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise OceanAiError(
            f"{path} is neither JSON nor JSON lines: {error}. Name a .json or .jsonl file "
            "that `oragen predict` wrote."
        ) from error


def _to_row(prediction: Mapping[str, Any], *, with_folders: bool) -> list[object]:
    if not isinstance(prediction, Mapping) or not {"input", "gender", "age"} <= set(prediction):
        raise OceanAiError(
            f"{str(prediction)[:60]!r} is no prediction: it needs `input`, `gender` and `age`. "
            "Take them from `oragen predict` or `Prediction.to_dict`."
        )
    path = encodable(prediction["input"])
    gender, age, mask_type = (prediction.get(key) for key in ("gender", "age", "mask_type"))
    return [
        path if with_folders else _name(path),
        None if age is None else age["value"],
        None if gender is None else gender["label"],
        None if gender is None else gender["probabilities"][gender["label"]],
        None if mask_type is None else mask_type["label"],
    ]


def _keys(where: str, paths: pd.Series, *, by_path: bool) -> "pd.Index[str]":
    keys = pd.Index([_spell(path) if by_path else _name(path) for path in paths], dtype=object)
    if repeated := sorted(set(keys[keys.duplicated()])):
        named = ", ".join(repeated[:MAX_NAMED])
        more = f" and {len(repeated) - MAX_NAMED} more" if len(repeated) > MAX_NAMED else ""
        raise OceanAiError(
            f"Clips of the same name cannot be told apart: {named}{more} listed twice in {where}. "
            "Rename them, run both programs a folder at a time, or keep folders in both `Path`."
        )
    return keys


def _has_folders(paths: pd.Series) -> bool:
    return any(_name(path) != path for path in paths)


def _name(path: str) -> str:
    """Return the name of a file, also from a Windows path."""
    return PureWindowsPath(path).name


def _spell(path: str) -> str:
    return PureWindowsPath(path).as_posix()
