"""Records of clips -> the clips table: many of them, awkward files, and the same bytes twice."""

import errno
import logging
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from oragen.corpora.files import READ_BYTES
from oragen.corpora.manifest import Manifest, build_manifest
from oragen.corpora.records import BATCH, ClipRecord, CorpusError
from oragen.schema.tables import CLIPS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A corpus with the files a.wav to d.wav, each holding its name."""
    root = tmp_path / "corpus"
    root.mkdir()
    for name in "abcd":
        (root / f"{name}.wav").write_text(name)
    return root


def sound(name: str, **fields: str | None) -> ClipRecord:
    return ClipRecord(name, audio_path=f"{name}.wav", **fields)  # type: ignore[arg-type]


def list_all(root: Path, *records: ClipRecord) -> Manifest:
    return build_manifest("mine", root, iter(records), root.parent / "hashes.parquet")


def reasons(manifest: Manifest) -> dict[str, str]:
    return {item.clip_id: item.reason for item in manifest.skipped}


# Many


def test_records_are_not_kept(root: Path) -> None:
    """One lives while the next is asked for."""
    alive: weakref.WeakSet[ClipRecord] = weakref.WeakSet()

    def draw() -> Iterator[ClipRecord]:
        for number in range(5 * BATCH):
            record = ClipRecord(f"{number}", unusable="not wanted")
            alive.add(record)
            yield record
            assert len(alive) <= 2
        yield sound("a")

    manifest = build_manifest("mine", root, draw(), root.parent / "hashes.parquet")
    assert (len(manifest.clips), len(manifest.skipped)) == (1, 5 * BATCH)


def test_a_clip_is_known_again_after_many_others(root: Path) -> None:
    others = [ClipRecord(f"{number}", unusable="not wanted") for number in range(2 * BATCH)]
    records = [
        sound("a"),
        sound("b", gender="male"),
        *others,
        sound("b", gender="female"),
        sound("a"),
    ]
    manifest = list_all(root, *records)
    assert manifest.clips["clip_id"].tolist() == ["mine/a"]
    assert reasons(manifest)["mine/b"] == "listed twice, with different files or labels"


def test_every_clip_that_came_in_is_listed_once_and_kept_or_skipped(root: Path) -> None:
    manifest = list_all(root, sound("b"), sound("x"), sound("a"), sound("x"), sound("b"))
    assert manifest.clip_ids == ["mine/b", "mine/x", "mine/a"]
    assert manifest.clips["clip_id"].tolist() == ["mine/b", "mine/a"]
    assert reasons(manifest) == {"mine/x": "no such file"}


def test_a_manifest_of_nothing_is_refused(root: Path) -> None:
    with pytest.raises(CorpusError, match=r"none of 0 listed clips.*or corpora\..*in params\.yaml"):
        list_all(root)


def test_the_table_has_the_columns_and_types_of_clips(root: Path) -> None:
    face = ClipRecord("b", image_path="b.wav", face_box=(1.0, 2.0, 3.0, 4.0), age_low=19.0)
    clips = list_all(root, sound("a", gender=""), face).clips
    assert clips.columns.tolist() == CLIPS.columns.names
    pd.testing.assert_series_equal(clips.dtypes, CLIPS.empty().dtypes)
    assert clips["gender"].isna().all()
    assert clips["face_box"].iloc[1].tolist() == [1.0, 2.0, 3.0, 4.0]


# Files


def test_the_first_problem_of_a_clip_is_its_reason(root: Path) -> None:
    manifest = list_all(
        root,
        sound("d"),
        ClipRecord("x", audio_path="x.wav", unusable="unknown gender: x"),
        ClipRecord("y", audio_path="a.wav", video_path="y.mp4", age_years=200.0),
        ClipRecord("z", audio_path="a.wav", age_years=200.0),
        ClipRecord("z", audio_path="a.wav", age_years=20.0),
        ClipRecord("none", audio_path="", age_years=200.0),
    )
    assert reasons(manifest) == {
        "mine/x": "unknown gender: x",
        "mine/y": "no such file",
        "mine/z": "age outside 0..120: 200",
        "mine/none": "no media file named",
    }


def test_a_folder_that_is_a_link_is_followed_only_inside_the_root(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "inside").mkdir()
    for folder in (outside, root / "inside"):
        (folder / "e.wav").write_text("e")
        (folder / "f.wav").write_text("f")
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to(root / "inside")
    names = ["out/e", "out/f", "in/e", "in/f", "inside/../out/e", "in/../a"]
    manifest = list_all(root, *map(sound, names))
    assert manifest.clips["clip_id"].tolist() == ["mine/in/e", "mine/in/f", "mine/in/../a"]
    found = reasons(manifest)
    assert found.pop("mine/inside/../out/e") == "path leaves the corpus root: inside/../out/e.wav"
    assert found == {
        f"mine/{name}": f"path leaves the corpus root: {name}.wav is or passes a link, which "
        "`follow_links: true` in the entry of the corpus allows"
        for name in ("out/e", "out/f")
    }


def test_a_file_is_found_by_whatever_name_it_has(root: Path) -> None:
    (root / "sub").mkdir()
    names = ["a.wav/", "./a.wav", "sub/../a.wav", "sub//../a.wav", f"{root}/a.wav", "a.wav/."]
    manifest = list_all(root, *(ClipRecord(name, audio_path=name) for name in names))
    assert reasons(manifest) == {}
    assert manifest.clips["audio_hash"].nunique() == 1


def test_a_file_that_breaks_off_in_reading_is_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that fails: the second block of a file is not there to be read."""
    (root / "b.wav").write_bytes(bytes(READ_BYTES + 1))
    read = os.read

    def fail(number: int, size: int) -> bytes:
        if os.lseek(number, 0, os.SEEK_CUR) == READ_BYTES:
            raise OSError(errno.EIO, "Input/output error")
        return read(number, size)

    monkeypatch.setattr(os, "read", fail)
    assert reasons(list_all(root, sound("a"), sound("b"))) == {"mine/b": "the file cannot be read"}


def test_a_name_that_is_no_text_is_left_out(root: Path) -> None:
    name = os.fsdecode(b"gr\xfcn")
    manifest = list_all(root, sound("a"), sound(name), sound("b", camera=name))
    assert reasons(manifest) == {
        r"mine/gr\udcfcn": r"not UTF-8: gr\udcfcn",
        "mine/b": r"not UTF-8: gr\udcfcn",
    }


def test_without_a_memory_nothing_is_hashed(root: Path) -> None:
    manifest = build_manifest("mine", root, [sound("a"), sound("x")], hash_memory=None)
    assert manifest.clips["clip_id"].tolist() == ["mine/a"]
    assert manifest.clips[["audio_hash", "picture_hash"]].isna().all(axis=None)


def test_the_memory_keeps_files_that_are_not_there_this_time(root: Path) -> None:
    """One is not listed, and one is away; their bytes change behind the back of size and time."""
    first = list_all(root, sound("a"), sound("b"), sound("c")).clips
    (root / "b.wav").rename(root / "away")
    list_all(root, sound("b"), sound("c"))
    (root / "away").rename(root / "b.wav")
    for name in "ab":
        status = (root / f"{name}.wav").stat()
        (root / f"{name}.wav").write_text("z")
        os.utime(root / f"{name}.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    again = list_all(root, sound("a"), sound("b")).clips
    assert again["audio_hash"].tolist() == first["audio_hash"].tolist()[:2]


# The same bytes


def test_the_same_bytes_in_two_splits_are_kept_and_said(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "b.wav").write_text("a")
    (root / "d.wav").write_text("c")
    with caplog.at_level(logging.WARNING):
        manifest = list_all(
            root,
            sound("a", split="train", speaker_id="Ann"),
            sound("b", split="test", speaker_id="Bob"),
            sound("c", split="train", speaker_id="Cy"),
            sound("d", split="train", speaker_id="Dee"),
        )
    assert len(manifest.clips) == 4
    (record,) = caplog.records
    assert record.getMessage() == (
        "Corpus 'mine': 2 clips have the same bytes as a clip of another speaker in another split, "
        "e.g. mine/a (train) and mine/b (test). They are kept, and scores may be too good."
    )


def test_the_same_picture_with_other_sound_is_said_too(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "d.wav").write_text("c")
    with caplog.at_level(logging.WARNING):
        list_all(
            root,
            ClipRecord("1", audio_path="a.wav", image_path="c.wav", split="train"),
            ClipRecord("2", audio_path="b.wav", image_path="d.wav", split="dev"),
        )
    assert "2 clips have the same bytes" in caplog.text


def test_nothing_is_said_of_clips_that_differ_or_share_a_split(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "b.wav").write_text("a")
    with caplog.at_level(logging.WARNING):
        list_all(root, sound("a", split="test"), sound("b", split="test"), sound("c", split="dev"))
    assert caplog.records == []
