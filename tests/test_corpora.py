"""A corpus' own table and files -> the clips table: what is used, and what is skipped and why."""

from collections import Counter
from pathlib import Path

import pytest

from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.schema.tables import CLIPS, SKIPPED
from oragen.schema.vocabulary import Skipped
from tests.csv_corpora import list_text, make_files, reasons, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_files(tmp_path / "corpus")


# The manifest


def test_a_clip_carries_its_labels(root: Path) -> None:
    text = "media,speaker_id,gender,age_years,mask_type,split,camera,language\n"
    manifest = list_text(root, text + "a.mp4,Ann,f,0,ffp,test,front,en\n")
    assert manifest.skipped == []
    (clip,) = manifest.clips.to_dict("records")
    labels = {
        "clip_id": "mine/a", "corpus": "mine", "speaker_id": "Ann", "gender": "female",
        "age_years": 0.0, "mask_type": "ffp", "split": "test", "camera": "front", "language": "en",
    }  # fmt: skip
    assert {name: clip[name] for name in labels} == labels


def test_the_clips_table_can_be_written(root: Path, tmp_path: Path) -> None:
    manifest = list_text(root, "media\nb.mp4\na.mp4\nnone.mp4\nnone.mp4\n")
    CLIPS.write(tmp_path / "clips.parquet", manifest.clips)
    SKIPPED.write(
        tmp_path / "skipped.parquet", SKIPPED.frame([item._asdict() for item in manifest.skipped])
    )
    assert CLIPS.read(tmp_path / "clips.parquet")["clip_id"].tolist() == ["mine/a", "mine/b"]


@pytest.mark.parametrize("age", ["-1", "120.5", "inf", "-inf", "1e9"])
def test_an_age_outside_of_life_is_left_out(root: Path, age: str) -> None:
    manifest = list_text(root, f"media,age_years\na.mp4,{age}\nb.mp4,120\n")
    assert reasons(manifest) == {"mine/a": f"age outside 0..120: {float(age):g}"}


def test_a_missing_file_is_left_out(root: Path) -> None:
    (root / "folder.mp4").mkdir()
    manifest = list_text(root, "media\na.mp4\nx.mp4\nfolder.mp4\n")
    assert manifest.skipped == [
        Skipped("mine/x", "index_clips", "no such file"),
        Skipped("mine/folder", "index_clips", "not a file"),
    ]


def test_a_line_without_media_is_left_out_by_its_number(root: Path) -> None:
    manifest = list_text(root, "media,gender\na.mp4,f\n,m\n,f\n")
    assert reasons(manifest) == {
        "mine/line 3": "no media file named",
        "mine/line 4": "no media file named",
    }


def test_an_empty_file_is_left_out(root: Path) -> None:
    write(root / "a.mp4", "")
    assert reasons(list_text(root, "media\na.mp4\nb.mp4\n")) == {"mine/a": "empty file"}


def test_a_path_that_leaves_the_root_is_left_out(root: Path) -> None:
    secret = write(root.parent / "secret.mp4", "secret")
    (root / "link.mp4").symlink_to(secret)
    (root / "inner.mp4").symlink_to(root / "a.mp4")
    text = f"media\n../secret.mp4\n{secret}\nlink.mp4\nsub/../../secret.mp4\ninner.mp4\n"
    manifest = list_text(root, text)
    assert manifest.clips["clip_id"].tolist() == ["mine/inner"]
    assert [item.reason.partition(":")[0] for item in manifest.skipped] == [
        "path leaves the corpus root"
    ] * 4


def test_a_root_that_is_a_link_is_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert list_text(tmp_path / "link", "media\na.mp4\n").skipped == []


@pytest.mark.parametrize("path", ["x" * 300, "a\0b.mp4", "circle.mp4", ".", "/", "a.mp4/b.mp4"])
def test_a_path_that_cannot_be_one_is_left_out(root: Path, path: str) -> None:
    (root / "circle.mp4").symlink_to(root / "circle.mp4")
    manifest = list_text(root, f"media\na.mp4\n{path}\n")
    assert manifest.clips["clip_id"].tolist() == ["mine/a"]
    assert len(manifest.skipped) == 1


def test_the_same_line_twice_counts_once(root: Path) -> None:
    manifest = list_text(root, "media,gender\na.mp4,f\nb.mp4,m\na.mp4,F\n")
    assert manifest.clips["clip_id"].tolist() == ["mine/a", "mine/b"]
    assert manifest.skipped == []


def test_a_clip_with_two_labels_is_left_out(root: Path) -> None:
    manifest = list_text(root, "media,gender\na.mp4,f\nb.mp4,m\na.mp4,m\n")
    assert manifest.clips["clip_id"].tolist() == ["mine/b"]
    assert reasons(manifest) == {"mine/a": "listed twice, with different files or labels"}


def test_a_speaker_in_two_splits_is_refused_by_name(root: Path) -> None:
    text = "media,speaker_id,split\na.mp4,Ann,train\nb.mp4,Ann,test\nc.mp4,Bob,train\n"
    with pytest.raises(CorpusError, match=r"1 speakers are in two splits: Ann \(test\+train\)"):
        list_text(root, text)


def test_a_message_names_ten_speakers_at_most(root: Path) -> None:
    lines = []
    for number in range(24):
        write(root / f"{number}.mp4", "film")
        lines.append(f"{number}.mp4,speaker {number // 2:02},{'train' if number % 2 else 'dev'}")
    with pytest.raises(CorpusError, match=r"12 speakers.*speaker 09 \(dev\+train\) and 2 more"):
        list_text(root, "\n".join(["media,speaker_id,split", *lines]))


def test_no_usable_clip_is_refused_with_an_example(root: Path) -> None:
    with pytest.raises(CorpusError, match=r"none of 2 listed clips .* mine/x: no such file"):
        list_text(root, "media\nx.mp4\ny.mp4\n")


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"root .*gone is no folder.*corpora\.mine\.root"):
        build_manifest("mine", tmp_path / "gone", [], tmp_path / "hashes.parquet")


# Splits


def test_the_clips_of_a_speaker_share_the_split_they_are_assigned(root: Path) -> None:
    manifest = list_text(root, "media,speaker_id\n" + "".join(f"{n}.mp4,Ann\n" for n in "abcdef"))
    assert manifest.clips["split"].unique().tolist() == ["train"]  # one alone is at 1/2


def test_a_clip_without_a_speaker_is_its_own(root: Path) -> None:
    assert list_text(root, "media\na.mp4\n").clips["speaker_id"].tolist() == ["mine/a"]


def test_a_train_that_holds_dev_is_divided_between_the_two(root: Path) -> None:
    """Three women who are alike: at 1/6, 1/2 and 5/6 of the way, with the border at 0.82."""
    records = [
        ClipRecord(name, name, TRAIN_OR_DEV, audio_path=f"{name}.mp4", gender="female")
        for name in "abc"
    ]
    tested = ClipRecord("d", "d", "test", audio_path="d.mp4")
    manifest = build_manifest("mine", root, [*records, tested], root.parent / "hashes.parquet")
    assert Counter(manifest.clips["split"]) == {"train": 2, "dev": 1, "test": 1}
