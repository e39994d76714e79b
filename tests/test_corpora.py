"""A corpus' own table and files -> the clips table: what is used, and what is skipped and why."""

import dataclasses
import hashlib
import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from oragen.corpora.csv import media_paths, read_csv
from oragen.corpora.generated import read_generated
from oragen.corpora.generator import CorpusSpec, generate_corpus
from oragen.corpora.manifest import ClipRecord, CorpusError, Manifest, build_manifest
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS, SKIPPED
from oragen.schema.vocabulary import Skipped


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A corpus with the files a.mp4 to f.mp4, each holding its name."""
    root = tmp_path / "corpus"
    for name in "abcdef":
        write(root / f"{name}.mp4", name)
    return root


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def read(root: Path, text: str | bytes) -> list[ClipRecord]:
    content = text.encode() if isinstance(text, str) else text
    (root / "labels.csv").write_bytes(content)
    return list(read_csv("mine", root, Path("labels.csv")))


def list_text(root: Path, text: str) -> Manifest:
    return build_manifest("mine", root, read(root, text), root.parent / "hashes.parquet")


def reasons(manifest: Manifest) -> dict[str, str]:
    return {item.clip_id: item.reason for item in manifest.skipped}


# The table


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_any_usual_table_is_read(root: Path, delimiter: str, newline: str) -> None:
    lines = [["media", "gender", "age_years"], ["a.mp4", "female", "30"], ["b.mp4", "", ""]]
    text = newline.join(delimiter.join(fields) for fields in lines)
    assert read(root, text) == [
        ClipRecord("a", audio_path="a.mp4", video_path="a.mp4", gender="female", age_years=30.0),
        ClipRecord("b", audio_path="b.mp4", video_path="b.mp4"),
    ]


def test_the_mark_that_excel_writes_first_is_no_part_of_a_name(root: Path) -> None:
    assert read(root, b"\xef\xbb\xbfmedia\na.mp4\n")[0].stem == "a"


def test_names_may_be_padded_and_of_any_case(root: Path) -> None:
    text = " Media ; GENDER ;Speaker_ID; Mask_Type ;SPLIT\n a.mp4 ; F ; Ann ; No Mask ; Val \n"
    (record,) = read(root, text)
    assert (record.audio_path, record.speaker_id) == ("a.mp4", "Ann")
    assert (record.gender, record.mask_type, record.split) == ("female", "none", "dev")


def test_blank_lines_are_nothing(root: Path) -> None:
    assert [
        record.stem for record in read(root, "\n\nmedia,gender\n\na.mp4,\n,,\n   \nb.mp4,\n")
    ] == [
        "a",
        "b",
    ]


def test_a_quoted_field_may_hold_delimiters_quotes_and_new_lines(root: Path) -> None:
    text = 'media,speaker_id,remark\n"a, b.mp4","Ann ""A"" B","two\nlines"\nc.mp4,Bob,\n'
    first, second = read(root, text)
    assert (first.audio_path, first.speaker_id) == ("a, b.mp4", 'Ann "A" B')
    assert (second.audio_path, second.speaker_id) == ("c.mp4", "Bob")


@pytest.mark.parametrize(
    ("word", "mask_type"),
    [
        ("No mask", "none"),
        ("Tissue mask", "tissue"),
        ("Medical mask", "medical"),
        ("Protective mask (FFP2/FFP3)", "ffp"),
        ("Respirator", "respirator"),
        ("Protective face shield", "shield"),
        ("ffp", "ffp"),
    ],
)
def test_the_published_names_of_masks_are_known(root: Path, word: str, mask_type: str) -> None:
    (record,) = read(root, f"media,mask_type\na.mp4,{word}\n")
    assert (record.mask_type, record.unusable) == (mask_type, None)


@pytest.mark.parametrize(
    ("column", "word", "reason"),
    [
        ("gender", "woman", "unknown gender: woman"),
        ("mask_type", "scarf", "unknown mask_type: scarf"),
        ("split", "holdout", "unknown split: holdout"),
        ("age_years", "thirty", "age_years is no number: thirty"),
        ("age_years", "1.000,5", "age_years is no number: 1.000,5"),
    ],
)
def test_a_word_that_is_not_known_makes_the_clip_unusable(
    root: Path, column: str, word: str, reason: str
) -> None:
    manifest = list_text(root, f"media;{column}\na.mp4;{word}\nb.mp4;\n")
    assert reasons(manifest) == {"mine/a": reason}
    assert manifest.clips["clip_id"].tolist() == ["mine/b"]


def test_every_problem_of_a_line_is_named(root: Path) -> None:
    (record,) = read(root, "media,gender,age_years\na.mp4,x,y\n")
    assert record.unusable == "unknown gender: x; age_years is no number: y"


@pytest.mark.parametrize(("text", "age_years"), [("30", 30.0), (" 30.5 ", 30.5), ("30,5", 30.5)])
def test_an_age_has_a_point_or_a_comma(root: Path, text: str, age_years: float) -> None:
    assert read(root, f"media;age_years\na.mp4;{text}\n")[0].age_years == age_years


def test_a_comma_that_splits_an_age_does_not_go_unnoticed(root: Path) -> None:
    manifest = list_text(root, "media,age_years\na.mp4,30,5\nb.mp4,30,\n")
    assert reasons(manifest) == {"mine/a": "more fields than columns"}


@pytest.mark.parametrize(
    ("media", "kinds"),
    [
        ("x/a.WAV", ["audio_path"]),
        ("a.flac", ["audio_path"]),
        ("a.JPG", ["image_path"]),
        ("a.png", ["image_path"]),
        ("a.mp4", ["audio_path", "video_path"]),
        ("a.mkv", ["audio_path", "video_path"]),
        ("a.3gp", ["audio_path", "video_path"]),
        ("recording", ["audio_path", "video_path"]),
        ("", []),
    ],
)
def test_a_name_tells_what_a_file_may_hold(media: str, kinds: list[str]) -> None:
    assert media_paths(media) == dict.fromkeys(kinds, media)


def test_sound_and_pictures_may_be_two_files(root: Path) -> None:
    manifest = list_text(root, "audio_path,video_path\na.mp4,b.mp4\n")
    (clip,) = manifest.clips.to_dict("records")
    assert (clip["clip_id"], clip["audio_path"], clip["video_path"]) == ("mine/a", "a.mp4", "b.mp4")
    assert clip["audio_hash"] == hashlib.sha256(b"a").hexdigest()
    assert clip["picture_hash"] == hashlib.sha256(b"b").hexdigest()


def test_an_image_has_no_sound(root: Path) -> None:
    write(root / "face.png", "pixels")
    (clip,) = list_text(root, "media\nface.png\n").clips.to_dict("records")
    assert clip["image_path"] == "face.png"
    assert clip["picture_hash"] == hashlib.sha256(b"pixels").hexdigest()
    assert pd.isna([clip["audio_path"], clip["video_path"], clip["audio_hash"]]).all()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "file,gender\na.mp4,f\n",
            "has no column of media.*found file, gender",
        ),
        ("", "has no column of media.*found nothing. Correct the header"),
        ("media\n\xff.mp4\n".encode("latin-1"), "is not UTF-8 text"),
        ('media,gender\n"a.mp4,f\n', "is no table.*quotation mark"),
        ('media,gender\n"a"b.mp4,f\n', "is no table.*quotation mark"),
    ],
    ids=["no media", "empty", "latin-1", "open quote", "quote inside"],
)
def test_what_is_no_table_of_clips_is_refused(
    root: Path, text: str | bytes, complaint: str
) -> None:
    with pytest.raises(CorpusError, match=complaint):
        read(root, text)


def test_a_missing_table_says_what_to_put_there(root: Path) -> None:
    with pytest.raises(CorpusError, match=r"no table at .*labels\.csv.*corpora\.mine\.table"):
        list(read_csv("mine", root, Path("labels.csv")))


def test_a_generated_corpus_is_listed_whole_and_one_that_is_not_there_says_how(
    tmp_path: Path,
) -> None:
    spec = CorpusSpec("studio", 6, 1, clips_per_speaker=(1, 1), duration_s=(1.0, 1.0))
    with pytest.raises(CorpusError, match="Run `oragen generate studio`"):
        list(read_generated("studio", tmp_path / "studio", spec))
    generate_corpus(tmp_path / "studio", spec, num_workers=1)
    records = list(read_generated("studio", tmp_path / "studio", spec))
    manifest = build_manifest("studio", tmp_path / "studio", records, tmp_path / "hashes.parquet")
    assert manifest.skipped == []
    assert len(manifest.clips) == 6
    assert set(manifest.clips["split"]) == {"train", "dev", "test"}
    assert manifest.clips[["gender", "age_years", "mask_type", "audio_hash"]].notna().all(axis=None)


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


# The memory of hashes


def hash_of_a(root: Path) -> str:
    return str(list_text(root, "media\na.mp4\n").clips["audio_hash"][0])


def test_an_unchanged_file_is_not_read_again(root: Path) -> None:
    """Its content is changed behind the back of size and time, so that reading would show."""
    status = (root / "a.mp4").stat()
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()
    write(root / "a.mp4", "z")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()
    (root.parent / "hashes.parquet").unlink()
    assert hash_of_a(root) == hashlib.sha256(b"z").hexdigest()


def test_another_time_or_size_makes_it_read_again(root: Path) -> None:
    status = (root / "a.mp4").stat()
    hash_of_a(root)
    write(root / "a.mp4", "zz")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hash_of_a(root) == hashlib.sha256(b"zz").hexdigest()
    write(root / "a.mp4", "yy")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert hash_of_a(root) == hashlib.sha256(b"yy").hexdigest()


def test_a_damaged_memory_is_forgotten(root: Path) -> None:
    for content in (b"", b"junk"):
        (root.parent / "hashes.parquet").write_bytes(content)
        assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()
    pd.DataFrame({"other": [1]}).to_parquet(root.parent / "hashes.parquet")
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()


def test_the_memory_is_kept_when_the_indexing_ends_in_an_error(root: Path) -> None:
    status = (root / "a.mp4").stat()
    text = "media,speaker_id,split\na.mp4,Ann,train\nb.mp4,Ann,test\n"
    with pytest.raises(CorpusError, match="Ann"):
        list_text(root, text)
    write(root / "a.mp4", "z")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()


def test_a_generated_corpus_of_another_spec_is_refused(tmp_path: Path) -> None:
    spec = CorpusSpec("studio", 6, 1, clips_per_speaker=(1, 1), duration_s=(1.0, 1.0))
    generate_corpus(tmp_path, spec, num_workers=1)
    with pytest.raises(UserError, match="describes another corpus"):
        list(read_generated("studio", tmp_path, dataclasses.replace(spec, seed=2)))
