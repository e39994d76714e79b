"""`oragen cache export`: what other libraries read is what heads are trained on, to the bit."""

import json
import shutil
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from oragen.config import paths
from oragen.features.exports import windows
from oragen.features.exports.description import Origin
from oragen.features.exports.folder import export_windows
from oragen.schema.choices.exports import ExportFormat
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import GENDERS
from oragen.store.parts import PartStore
from tests.exported_windows import (
    AUDIO_STORE,
    SILENT,
    Row,
    clip_of,
    label,
    slots,
    sound,
    window,
    write_corpus,
    write_windows,
)
from tests.feature_stores import load_speakers, make_spec, write_features
from tests.lettered_stores import enter_project, flip_a_byte, run


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the datasets of the head `joint`, and the features that they name."""
    shutil.copytree(made, tmp_path / "project")
    return enter_project(tmp_path / "project", monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        table = write_windows()
        is_test = table["split"] == "test"
        DATASET.write(paths.train_dataset("joint"), table[~is_test])
        DATASET.write(paths.evaluation_dataset("joint"), table[is_test])
        yield folder


def read_parquet(folder: Path) -> list[Row]:
    rows: list[Row] = pq.read_table(folder).to_pylist()
    return rows


def read_lance(folder: Path) -> list[Row]:
    lance = pytest.importorskip("lance")
    rows: list[Row] = lance.dataset(str(folder)).to_table().to_pylist()
    return rows


def read_webdataset(folder: Path) -> list[Row]:
    webdataset = pytest.importorskip("webdataset")
    files = sorted(map(str, folder.iterdir()))
    samples = list(webdataset.WebDataset(files, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [f"{n:09}" for n in range(len(samples))]
    return [
        {name.removesuffix(".npy"): value for name, value in sample.items()} | sample["json"]
        for sample in samples
    ]


READERS: Final[dict[str, Callable[[Path], list[Row]]]] = {
    "parquet": read_parquet,
    "lance": read_lance,
    "webdataset": read_webdataset,
}


def export(*arguments: str, to: str = "parquet") -> Result:
    return run("export", "out", f"--to={to}", *arguments)


def change_params(project: Path, old: str, new: str) -> None:
    path = project / "params.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def must(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def refusal_of(result: Result) -> str:
    """The sentence of a command that ended with it."""
    assert result.exit_code != 0
    return str(result.exception)


# Of the reader of WebDataset, not of ours.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("to", READERS)
def test_what_is_read_back_is_the_dataset_to_the_bit(project: Path, to: str) -> None:
    assert "12 windows of train, dev, test" in must(export("--head=joint", to=to))
    description = json.loads((project / "out" / "description.json").read_text())
    for split, (count, path) in {
        "train": (8, paths.train_dataset("joint")),
        "dev": (2, paths.train_dataset("joint")),
        "test": (2, paths.evaluation_dataset("joint")),
    }.items():
        table = DATASET.read(path)
        told = description["splits"][split]
        assert told["windows"] == count
        rows = READERS[to](project / "out" / told["folder"])
        compare(table[table["split"] == split], rows)


def compare(table: pd.DataFrame, rows: list[Row]) -> None:
    """Compare rows that were read with what a head would be trained on."""
    dataset = load_speakers(table)
    [features] = dataset.read(len(dataset))
    row_of = {row["clip_id"]: row for row in rows}
    assert len(row_of) == len(rows) == len(dataset)
    for place, (_, labels) in enumerate(dataset.table.iterrows()):
        row, n = row_of[labels["clip_id"]], int(labels["clip_id"].rpartition(".")[2])
        audio, face = np.array(row["audio"], np.float16), np.array(row["face"], np.float16)
        num_steps = 0 if n == SILENT else n % 4 + 1
        assert np.array_equal(audio.reshape(-1, 3), features.audio[place, :num_steps].numpy())
        assert not features.audio[place, num_steps:].any()
        assert np.array_equal(face, features.face[place].numpy())
        assert list(row["face_valid"]) == [slot in slots(n) for slot in (0, 1)]
        known = {name: value for name, value in label(n).items() if value is not None}
        assert {name: row[name] for name in label(n) if row[name] is not None} == known
        assert (row["start"], row["stop"]) == (0, 64_000)
        assert row["gender_code"] == dataset.gender[place]
        assert row["mask_type_code"] == dataset.mask_type[place]


def test_a_large_export_is_in_several_files_and_in_a_random_order(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MAX_BATCH", 3)
    change_params(project, "part_mb: 128 ", "part_mb: 0.001 ")
    must(export("--head=joint", "--split=train"))
    files = sorted(path.name for path in (project / "out" / "train").iterdir())
    assert files == ["00000.parquet", "00001.parquet", "00002.parquet"]
    names = [row["clip_id"] for row in read_parquet(project / "out" / "train")]
    assert len(names) == 8
    assert names != sorted(names)
    assert sorted(path.name for path in (project / "out").iterdir()) == [
        "description.json", "train",
    ]  # fmt: skip


def test_a_corpus_can_be_exported_without_any_head(project: Path) -> None:
    write_corpus()
    must(export("--corpora=studio", "--split=dev"))
    table = DATASET.read(paths.train_dataset("joint"))
    compare(table[table["split"] == "dev"], read_parquet(project / "out" / "dev"))


def test_the_description_says_what_a_stranger_must_know(project: Path) -> None:
    must(export("--head=joint"))
    told = json.loads((project / "out" / "description.json").read_text())
    assert told["format"] == "parquet"
    assert told["chosen_by"] == {"head": "joint"}
    assert told["splits"]["train"] == {
        "folder": "train", "windows": 8, "clips": 8, "speakers": 8,
    }  # fmt: skip
    schema = pq.read_schema(project / "out" / "train" / "00000.parquet")
    assert list(told["columns"]) == schema.names
    assert "at most 4 x 3" in told["columns"]["audio"]
    assert "2 x 2 x 6" in told["columns"]["face"]
    assert told["codes"]["gender_code"] == {"female": 0, "male": 1}
    assert told["codes"]["unknown"] == -1
    assert told["features"]["audio"]["fingerprint"] == "f" * 64
    assert told["corpora"]["studio"]["licence"] == "made on this machine"


def test_what_is_there_is_replaced_only_if_it_is_an_export_and_may_be(project: Path) -> None:
    must(export("--head=joint", "--split=dev"))
    assert "--force" in refusal_of(export("--head=joint", "--split=test"))
    must(export("--head=joint", "--split=test", "--force"))
    assert not (project / "out" / "dev").exists()
    (project / "out" / "description.json").write_text("[]")
    assert "no export of oragen" in refusal_of(export("--head=joint", "--force"))
    assert (project / "out" / "test").exists()


@pytest.mark.parametrize("to", READERS)
def test_an_export_that_fails_midway_leaves_what_was_there(
    project: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if to != "parquet":
        pytest.importorskip(to)
    must(export("--head=joint", "--split=dev"))
    monkeypatch.setattr(windows, "MAX_BATCH", 1)
    change_params(project, "memory_gb: 8 ", "memory_gb: 0.0000001 ")  # streams its parts
    flip_a_byte(PartStore(AUDIO_STORE, "zarr").parts()[-1])
    assert "its values does not fit" in refusal_of(export("--head=joint", "--force", to=to))
    assert [path.name for path in (project / "out").iterdir()] == ["description.json", "dev"]
    assert not list(project.glob(".out*"))


def test_mistakes_are_named(project: Path) -> None:
    assert "There is no split 'tset'. Did you mean 'test'?" in refusal_of(export("--split=tset"))
    both = export("--head=joint", "--corpora=studio")
    assert "expected one" in refusal_of(both)
    DATASET.write(paths.evaluation_dataset("joint"), DATASET.empty())
    assert "No window is in the split test" in refusal_of(
        export("--head=joint", "--split=dev", "--split=test")
    )
    assert not (project / "out").exists()


@pytest.mark.parametrize("to", ["lance", "webdataset"])
def test_a_missing_package_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setitem(sys.modules, to, None)
    assert f"pip install 'oragen[{to}]'" in refusal_of(export("--head=joint", to=to))
    assert not (project / "out").exists()


def test_a_disk_that_is_too_small_is_named_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """26 steps of 3 numbers; 2 slots of 12 for 12 windows, of 2 bytes each."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    assert f"take {2 * (26 * 3 + 12 * 24)} bytes" in refusal_of(export("--head=joint"))


@pytest.mark.parametrize("to", ["parquet", pytest.param("webdataset", marks=pytest.mark.slow)])
def test_the_features_are_never_all_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: ExportFormat
) -> None:
    """Of 2 MB, an eighth of a megabyte at a time."""
    if to == "webdataset":
        pytest.importorskip("webdataset")
    monkeypatch.chdir(tmp_path)
    spec = make_spec("audio", shape=(64, 256))
    sounds = {sound(n): np.full(spec.shape, n) for n in range(60)}
    write_features(AUDIO_STORE, sounds, spec, part_bytes=2**18, clip_of=clip_of)
    rows = [
        window(n)
        | {"split": "train", "face_intermediate": [], "audio_intermediate": spec.key_of(sound(n))}
        for n in range(60)
    ]
    dataset = load_speakers(DATASET.frame(rows), memory_bytes=2**17)
    monkeypatch.setattr(windows, "BATCH_BYTES", 2**17)
    tracemalloc.start()
    export_windows(
        dataset, tmp_path / "out", to, Origin({}, GENDERS, {}),
        splits=["train"], file_bytes=2**19, replace=False,
    )  # fmt: skip
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(path.stat().st_size for path in tmp_path.glob("out/train/*")) > 1.8 * 2**20
    assert peak < 2**20
