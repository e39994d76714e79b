"""Tables: what may be written, what may be read, and what comes back."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from oragen.schema.errors import UserError
from oragen.schema.tables import (
    CLIPS,
    CROPS,
    DATASET,
    FEATURE_ROWS,
    SKIPPED,
    SPEECH,
    WINDOWS,
    Table,
    TableError,
)
from oragen.schema.vocabulary import Span, to_spans

ALL_TABLES = [CLIPS, SPEECH, CROPS, WINDOWS, FEATURE_ROWS, DATASET, SKIPPED]


def clip(clip_id: str, **labels: Any) -> dict[str, object]:
    return {"clip_id": clip_id, "corpus": "c", "split": "train", "speaker_id": "s", **labels}


def two_clips() -> pd.DataFrame:
    return CLIPS.frame([clip("c/b", age_years=30.5, face_box=[1.0, 2.0, 3.0, 4.0]), clip("c/a")])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clips.parquet"


def test_rows_come_back_sorted_by_the_key(path: Path) -> None:
    CLIPS.write(path, two_clips())
    table = CLIPS.read(path)
    assert table["clip_id"].tolist() == ["c/a", "c/b"]
    assert table["age_years"].tolist()[1] == 30.5
    assert list(table["face_box"][1]) == [1.0, 2.0, 3.0, 4.0]
    assert table.loc[0, ["gender", "age_years", "face_box"]].isna().all()


def test_a_key_of_two_columns_sorts_by_both_and_numbers_as_numbers(tmp_path: Path) -> None:
    crop = {"key": "k", "faces_key": "f", "sample": 0, "x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0}
    order = [("c/b", 0), ("c/a", 10), ("c/a", 9)]
    rows = [{"clip_id": clip_id, "crop": crop_, "score": 0.5, **crop} for clip_id, crop_ in order]
    CROPS.write(tmp_path / "crops.parquet", CROPS.frame(rows))
    table = CROPS.read(tmp_path / "crops.parquet")
    assert list(zip(table["clip_id"], table["crop"], strict=True)) == sorted(order)


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, table: Table) -> None:
    table.write(tmp_path / "empty.parquet", table.empty())
    empty = table.read(tmp_path / "empty.parquet")
    assert len(empty) == 0
    assert list(empty.columns) == table.columns.names


def test_equal_rows_give_equal_bytes_however_they_were_made(path: Path, tmp_path: Path) -> None:
    CLIPS.write(path, two_clips())
    other = tmp_path / "other.parquet"
    CLIPS.write(
        other, two_clips().iloc[::-1].astype({"clip_id": object}).set_index("corpus", drop=False)
    )
    assert other.read_bytes() == path.read_bytes()
    CLIPS.write(other, pd.concat([CLIPS.empty(), CLIPS.read(path)]))
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([clip("c/a"), clip("c/a")], "c/a"),
        ([clip("c/a", split="eval")], "split must be one of .*'train'.* found {'eval'}"),
        ([clip("c/a", gender="woman")], "gender must be one of .*'female'.* found {'woman'}"),
        ([clip("c/a", mask_type="medic")], "mask_type must be one of"),
        ([clip("c/a") | {"speaker_id": None}], "speaker_id"),
    ],
    ids=["same key twice", "split", "gender", "mask type", "empty speaker"],
)
def test_rows_that_break_the_contract_are_refused(
    path: Path, rows: list[dict[str, object]], complaint: str
) -> None:
    with pytest.raises(TableError, match=f"{complaint}.*Correct the rows before they are written"):
        CLIPS.write(path, CLIPS.frame(rows))


@pytest.mark.parametrize("column", ["clip_id", "camera"])
def test_a_missing_column_is_refused(path: Path, column: str) -> None:
    with pytest.raises(TableError, match=column):
        CLIPS.write(path, two_clips().drop(columns=column))


def test_a_column_of_another_type_is_refused(path: Path) -> None:
    with pytest.raises(TableError, match=r"age_years.*Correct the rows before they are written"):
        CLIPS.write(path, two_clips().assign(age_years="old"))


def test_a_refused_table_leaves_the_old_one_alone(path: Path) -> None:
    CLIPS.write(path, two_clips())
    with pytest.raises(TableError):
        CLIPS.write(path, two_clips().assign(split="eval"))
    assert len(CLIPS.read(path)) == 2
    assert [file.name for file in path.parent.iterdir()] == ["clips.parquet"]


def test_a_missing_file_says_what_to_run(path: Path) -> None:
    with pytest.raises(
        UserError, match=r"clips\.parquet is missing: no clips table\. Run `dvc repro`"
    ):
        CLIPS.read(path)


@pytest.mark.parametrize("kept", [0, 4, 600], ids=lambda kept: f"first {kept} bytes")
def test_a_broken_file_is_refused(path: Path, kept: int) -> None:
    CLIPS.write(path, two_clips())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(TableError, match="Remove the file and run `dvc repro`"):
        CLIPS.read(path)


def test_another_kind_of_table_is_refused(path: Path) -> None:
    CLIPS.write(path, two_clips())
    with pytest.raises(TableError, match="is no windows table"):
        WINDOWS.read(path)


def test_a_foreign_table_is_checked_on_reading(path: Path) -> None:
    two_clips().to_parquet(path)
    with pytest.raises(TableError, match=r"not sorted.*Remove the file and run `dvc repro`"):
        CLIPS.read(path)
    two_clips().iloc[::-1].assign(split="eval").to_parquet(path)
    with pytest.raises(TableError, match=r"split must be one of.*Remove the file and run"):
        CLIPS.read(path)
    two_clips().iloc[::-1].assign(speaker_id=None).to_parquet(path)
    with pytest.raises(TableError, match=r"speaker_id.*Remove the file and run `dvc repro`"):
        CLIPS.read(path)


def test_columns_of_no_table_are_not_read(path: Path) -> None:
    two_clips().iloc[::-1].assign(remark="x").to_parquet(path)
    assert "remark" not in CLIPS.read(path)


def test_columns_of_a_table_become_spans_of_python_numbers() -> None:
    spans = to_spans(np.array([0, 32_000]), np.array([16_000, 48_000]))
    assert spans == [Span(0, 16_000), Span(32_000, 48_000)]
    assert {type(edge) for span in spans for edge in span} == {int}
