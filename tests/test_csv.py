"""A table in CSV of any usual form -> records of clips, with every problem of a line."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from oragen.corpora.csv import media_paths, read_csv
from oragen.corpora.records import ClipRecord, CorpusError
from tests.csv_corpora import list_text, make_files, read, reasons, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_files(tmp_path / "corpus")


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
