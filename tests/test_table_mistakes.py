"""Tables as spreadsheets, R, pandas and people write them -> clips, or one sentence that helps."""

import logging
from collections.abc import Collection
from pathlib import Path

import pytest

from oragen.corpora.columns import guess_columns
from oragen.corpora.csv import read_csv
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.tables import MAX_LINE_CHARACTERS, read_table
from oragen.corpora.words import MASK_TYPE_WORDS, is_unknown_speaker, look_up, to_number

TABLE = Path("labels.csv")
FOUR = "media;speaker_id;age_years\na.wav;Ann;34,5\n"


def read(
    root: Path, content: str | bytes, *, ignored: Collection[str] = (), **columns: str
) -> list[ClipRecord]:
    data = content if isinstance(content, bytes) else content.encode()
    (root / TABLE).write_bytes(data)
    return list(read_csv("mine", root, TABLE, columns, ignored=ignored))


def refusal(root: Path, content: str | bytes) -> str:
    with pytest.raises(CorpusError) as caught:
        read(root, content)
    assert "Error" not in str(caught.value)
    return str(caught.value)


# Columns that are nearly ours


def test_columns_that_look_like_ours_are_refused_with_those_meant(tmp_path: Path) -> None:
    complaint = refusal(tmp_path, "media,speaker,gender,age,mask\na.wav,Ann,f,30,ffp\n")
    assert "speaker (speaker_id?), age (age_years?), mask (mask_type?)" in complaint
    assert "{speaker_id: speaker, age_years: age, mask_type: mask}" in complaint
    assert "corpora.mine.ignored_columns" in complaint


@pytest.mark.parametrize(
    ("title", "ours"),
    [
        ("Speaker ID", "speaker_id"), ("speaker-id", "speaker_id"), ("speakers", "speaker_id"),
        ("speakerId", "speaker_id"), ("spk_id", "speaker_id"), ("subject", "speaker_id"),
        ("genders", "gender"), ("sex", "gender"), ("gendre", "gender"),
        ("Age (years)", "age_years"), ("ages", "age_years"), ("Mask Type", "mask_type"),
        ("masks", "mask_type"), ("subset", "split"), ("splits", "split"), ("bbox", "face_box"),
        ("ｇｅｎｄｅｒ", "gender"),
    ],
)  # fmt: skip
def test_a_near_name_is_recognised(title: str, ours: str) -> None:
    assert guess_columns([title.lower()], {"media"}) == {ours: title.lower()}


@pytest.mark.parametrize(
    "title", ["remark", "id", "page", "stage", "cage", "duration", "task", "start", "text", "name"]
)
def test_another_name_is_nothing_of_ours(title: str) -> None:
    assert guess_columns([title], {"media"}) == {}


def test_a_near_name_of_what_is_there_already_is_no_mistake(tmp_path: Path) -> None:
    text = "media,age_years,age,sex,gender,file\na.wav,30,x,x,f,x\n"
    assert [record.age_years for record in read(tmp_path, text)] == [30.0]


def test_columns_that_are_ignored_on_purpose_are_no_mistake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "media,mask,Remark\na.wav,ffp,x\n"
    assert [record.mask_type for record in read(tmp_path, text, ignored=["Mask", "remark"])] == [
        None
    ]
    assert caplog.text == ""


def test_columns_that_are_not_used_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read(tmp_path, "media,remark,device,\na.wav,x,y,\n")
    assert "are not used: remark, device. Map those that are meant" in caplog.text


@pytest.mark.parametrize(
    "titles", ["media,gender,Gender ", "media,note,gender,note", "media,Media"]
)
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, titles: str) -> None:
    assert "twice, so it is not clear which one counts" in refusal(tmp_path, f"{titles}\na.wav\n")


def test_a_table_without_media_names_the_column_that_may_be_it(tmp_path: Path) -> None:
    complaint = refusal(tmp_path, "file,gender\na.wav,f\n")
    assert "no column of media: expected one of media, audio_path" in complaint
    assert "set corpora.mine.columns to {media: file}" in complaint


# What is not known


@pytest.mark.parametrize(
    "word", ["", "NA", "nan", "NaN", "N/A", "#N/A", "<NA>", "-", "–", "unknown", "None", "null",
             "NULL", "?", "n.a.", "missing", r"\N"],
)  # fmt: skip
def test_what_says_that_nothing_is_known_is_unknown(tmp_path: Path, word: str) -> None:
    columns = [
        "speaker_id", "gender", "age_years", "split", "face_box", "audio_encoding", "camera",
        "language",
    ]  # fmt: skip
    text = f"media,{','.join(columns)}\na.mp4,{','.join([word] * len(columns))}\n"
    assert read(tmp_path, text) == [ClipRecord("a", audio_path="a.mp4", video_path="a.mp4")]


@pytest.mark.parametrize("end", ["", "NaT", "NA", "-", "None"])
def test_a_clip_without_an_end_is_a_whole_file(tmp_path: Path, end: str) -> None:
    records = read(tmp_path, f"media,start,end\na.wav,0 days,{end}\n")
    assert records == [ClipRecord("a", audio_path="a.wav")]


def test_a_missing_file_of_one_kind_leaves_the_other(tmp_path: Path) -> None:
    records = read(tmp_path, "audio_path,video_path\na.wav,NA\nnan,b.mp4\n")
    assert records == [ClipRecord("a", audio_path="a.wav"), ClipRecord("b", video_path="b.mp4")]


@pytest.mark.parametrize("word", ["none", "None", "NONE", "no mask"])
def test_a_mask_type_of_none_is_no_mask(word: str) -> None:
    problems: list[str] = []
    assert look_up("mask_type", word, MASK_TYPE_WORDS, problems) == "none"
    assert look_up("mask_type", "NA", MASK_TYPE_WORDS, problems) is None
    assert problems == []


def test_people_called_nan_are_people() -> None:
    assert not any(map(is_unknown_speaker, ["Nan", "Na", "Ann", "NA1", "Nobody"]))
    assert all(map(is_unknown_speaker, ["NaN", "nan", "NA", "none", "Unknown", "?"]))


def test_speakers_who_are_not_known_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read(tmp_path, "media,speaker_id\na.wav,NA\nb.wav,NA\nc.wav,\nd.wav,Ann\n")
    assert "2 lines of" in caplog.text
    assert "not known: NA (2)" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("34", 34.0), ("34,5", 34.5), ("34.0", 34.0), ("34 years", 34.0), ("34y", 34.0),
        ("34 yrs old", 34.0), ("34 Y.", 34.0), ("NaN", None),
    ],
)  # fmt: skip
def test_an_age_may_have_its_unit(text: str, expected: float | None) -> None:
    problems: list[str] = []
    assert to_number("age", text, problems) == expected
    assert problems == []


@pytest.mark.parametrize("text", ["thirty", "1990-05-01", "01.02.1990", "3_4", "34 weeks", "years"])
def test_what_is_no_age_is_a_problem(text: str) -> None:
    problems: list[str] = []
    assert to_number("age", text, problems) is None
    assert problems == [f"age is no number: {text}"]


# Spreadsheets


@pytest.mark.parametrize(
    "content",
    [
        FOUR.encode(), b"\xef\xbb\xbf" + FOUR.encode(), FOUR.encode("utf-16"),
        FOUR.encode("utf-16-le"), FOUR.encode("utf-16-be"), FOUR.encode("utf-32"),
        f"sep=;\r\n{FOUR}".encode(), f"\ufeffsep=;\n\n{FOUR}".encode(), f'"sep=;"\n{FOUR}'.encode(),
        f"SEP=;\r\n{FOUR}".encode("utf-16"), FOUR.replace(";", "\t").encode("utf-16"),
        FOUR.replace("\n", "\r").encode(), b"\n\n" + FOUR.encode(),
        FOUR.replace("\n", ";;\n").encode(),
        b'"media";"speaker_id";"age_years"\n"a.wav";"Ann";"34,5"\n;;\n',
        b"media,speaker_id,age_years\na.wav,Ann,\"34,5\"\n",
    ],
)  # fmt: skip
def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path, content: bytes) -> None:
    expected = ClipRecord("a", "Ann", audio_path="a.wav", age_years=34.5)
    assert read(tmp_path, content) == [expected]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("media;speaker_id\na.wav;Аня\n".encode("cp1251"), "line 2 has the byte 0xc0. Save it as"),
        (
            "media\na.wav\nb.wav\nK\xe4se.wav\n".encode("cp1252"),
            "line 4 has the byte 0xe4. Save it",
        ),
        (FOUR.encode("utf-16")[:-1], "is not UTF-16 text"),
        (b"PK\x03\x04" + bytes(100), "a workbook such as .xlsx or .ods, or an archive"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "a workbook such as .xls, expected a text table. Save"),
        (f"media,note\na.wav,{'x' * 200_000}\n".encode(), "line 2 cannot be split .* 131,072"),
        (b"media\n" + b"x" * (MAX_LINE_CHARACTERS + 1), "line 2 of .* is longer than 1,048,576"),
        (b'media\na.wav\n"b.wav\n', "line 3.*stray quotation mark"),
    ],
)
def test_what_is_no_text_table_is_refused_with_the_remedy(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    with pytest.raises(CorpusError, match=complaint):
        read(tmp_path, content)


def test_a_line_is_numbered_as_an_editor_does(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text('sep=,\n\nmedia,note\n,"two\nlines"\n,x\n')
    assert [line.number for line in read_table("mine", tmp_path / TABLE)] == [5, 6]


def test_a_nul_character_is_a_problem_of_its_line(tmp_path: Path) -> None:
    records = read(tmp_path, b"media,speaker_id\na.wav,An\0n\nb.wav,Bob\n")
    assert [record.unusable for record in records] == ["a NUL character", None]


def test_a_table_that_is_not_there_says_what_to_correct(tmp_path: Path) -> None:
    expected = r"no table at .*speakers\.csv\. Put it there, or correct corpora\.mine in params"
    with pytest.raises(CorpusError, match=expected):
        list(read_table("mine", tmp_path / "speakers.csv"))
