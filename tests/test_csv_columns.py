"""Tables with names of their own, ranges of age, boxes of faces, one table a split -> records."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from oragen.corpora.csv import read_csv, read_csv_tables
from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.media.audio import decode_audio
from tests.media_files import tone, write_sound

AUDFORMAT = {"media": "file", "age_years": "age", "speaker_id": "speaker"}
TABLE = Path("labels.csv")


def read(
    root: Path, text: str, columns: Mapping[str, str] | None = None, *, split: str | None = None
) -> list[ClipRecord]:
    (root / TABLE).write_text(text, encoding="utf-8")
    return list(read_csv("mine", root, TABLE, columns or {}, split=split))


def read_one(
    root: Path, text: str, columns: Mapping[str, str] | None = None, *, split: str | None = None
) -> ClipRecord:
    (record,) = read(root, text, columns, split=split)
    return record


# Names of columns


def test_an_audformat_table_is_read_by_a_map_of_its_columns(tmp_path: Path) -> None:
    text = "file,age,gender,speaker\nwav/a.wav,31.0,female,s1\nwav/b.wav,,male,s2\n"
    assert read(tmp_path, text, AUDFORMAT) == [
        ClipRecord("wav/a", "s1", audio_path="wav/a.wav", gender="female", age_years=31.0),
        ClipRecord("wav/b", "s2", audio_path="wav/b.wav", gender="male"),
    ]


def test_a_mapped_name_may_be_of_any_case_and_padded(tmp_path: Path) -> None:
    text = " File ; AGE\na.wav;30,5\n"
    record = read_one(tmp_path, text, {"media": " FILE", "age_years": "Age "})
    assert (record.audio_path, record.age_years) == ("a.wav", 30.5)


def test_what_is_not_mapped_keeps_our_name(tmp_path: Path) -> None:
    record = read_one(tmp_path, "file,gender,split\na.wav,f,devel\n", {"media": "file"})
    assert (record.gender, record.split) == ("female", "dev")


def test_a_mapped_column_wins_over_one_of_our_name(tmp_path: Path) -> None:
    text = "media,gender,true_gender\na.wav,male,female\n"
    assert read_one(tmp_path, text, {"gender": "true_gender"}).gender == "female"


def test_columns_to_group_by_are_kept_where_they_are_known(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("media,Skin Tone,accent,remark\na.wav,V,n/a,x\nb.wav,,north,\n")
    names = ["skin tone", "Accent"]
    first, second = read_csv("mine", tmp_path, TABLE, group_columns=names, ignored=["remark"])
    assert first.attributes == (("skin tone", "V"),)
    assert second.attributes == (("Accent", "north"),)


def test_what_clips_are_grouped_by_is_listed_of_the_usable_ones(tmp_path: Path) -> None:
    for name in "ac":
        (tmp_path / f"{name}.wav").write_text(name)
    rows = "a.wav,V,north\nb.wav,I,south\nc.wav,,south\n"
    (tmp_path / TABLE).write_text("media,tone,accent\n" + rows)
    records = read_csv("mine", tmp_path, TABLE, group_columns=["tone", "accent"])
    manifest = build_manifest("mine", tmp_path, records, None)
    assert [skipped.clip_id for skipped in manifest.skipped] == ["mine/b"]
    assert manifest.attributes.to_numpy().tolist() == [
        ["mine/a", "tone", "V"], ["mine/a", "accent", "north"], ["mine/c", "accent", "south"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("tones", r"group_columns names 'tones', which is no column of .*did you mean 'tone'"),
        ("Language", "names 'Language', which is a word of ours"),
    ],
)
def test_a_column_to_group_by_that_cannot_be_is_refused(
    tmp_path: Path, name: str, complaint: str
) -> None:
    (tmp_path / TABLE).write_text("media,tone,language\na.wav,V,en\n")
    with pytest.raises(CorpusError, match=complaint):
        list(read_csv("mine", tmp_path, TABLE, group_columns=[name]))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (
            {"media": "file", "age_years": "ages"},
            r"mine\.columns maps age_years to 'ages', which is no column of .*labels\.csv "
            r"\(did you mean 'age'\?\); found file, age, gender\.",
        ),
        (
            {"media": "file", "age": "age"},
            r"mine\.columns names 'age' \(did you mean '\w+'\?\), expected any of media, .*age_",
        ),
        ({"media": "file", "camera": "zzz"}, r"'zzz', which is no column of \S+; found file"),
        ({"gender": "gender"}, "has no column of media: expected one of media"),
    ],
    ids=["no such column", "no such name of ours", "nothing alike", "no media"],
)
def test_a_map_that_does_not_fit_is_refused(
    tmp_path: Path, columns: dict[str, str], complaint: str
) -> None:
    with pytest.raises(CorpusError, match=complaint):
        read(tmp_path, "file,age,gender\na.wav,30,f\n", columns)


def test_a_map_of_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"'file', which is no column .*found nothing"):
        read(tmp_path, "", {"media": "file"})


# Parts of files


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("", ""),
        ("0", ""),
        ("0 days", ""),
        ("0 days 00:00:00", "NaT"),
        ("0:00:00.000", "nan"),
        ("NaT", ""),
    ],
)
def test_a_line_of_a_whole_file_may_have_the_index_of_audformat(
    tmp_path: Path, start: str, end: str
) -> None:
    text = f"file,start,end,age\na.wav,{start},{end},30\n"
    assert read_one(tmp_path, text, {"media": "file", "age_years": "age"}) == ClipRecord(
        "a", audio_path="a.wav", age_years=30.0
    )


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("0 days 00:00:01.500000", "", "0 days 00:00:01.500000 to its end"),
        ("0 days", "0 days 00:00:04", "0 days to 0 days 00:00:04"),
        ("1 days", "", "1 days to its end"),
        ("", "2.5", "0 to 2.5"),
    ],
)
def test_a_line_of_a_part_of_a_file_is_unusable(
    tmp_path: Path, start: str, end: str, shown: str
) -> None:
    record = read_one(tmp_path, f"file,start,end\na.wav,{start},{end}\n", {"media": "file"})
    assert record.unusable == f"a segment of a file: {shown}"


def test_columns_called_start_and_end_alone_are_passed_over(tmp_path: Path) -> None:
    assert read_one(tmp_path, "media,start,end\na.wav,3,7\n").unusable is None


# Ranges of age


@pytest.mark.parametrize(
    ("years", "low", "high", "expected"),
    [
        ("", "30", "39", (34.5, 30.0, 39.0)),
        ("33", "30", "39", (33.0, 30.0, 39.0)),
        ("", "41", "41", (41.0, 41.0, 41.0)),
        ("33", "", "", (33.0, None, None)),
        ("", "", "", (None, None, None)),
    ],
)
def test_the_age_of_a_range_is_its_middle_where_none_is_given(
    tmp_path: Path, years: str, low: str, high: str, expected: tuple[float | None, ...]
) -> None:
    record = read_one(tmp_path, f"media,age_years,age_low,age_high\na.wav,{years},{low},{high}\n")
    assert (record.age_years, record.age_low, record.age_high) == expected
    assert record.unusable is None


@pytest.mark.parametrize(("low", "high"), [("39", "30"), ("30", ""), ("", "39"), ("nan", "39")])
def test_bounds_that_are_no_range_are_a_problem(tmp_path: Path, low: str, high: str) -> None:
    record = read_one(tmp_path, f"media,age_low,age_high\na.wav,{low},{high}\n")
    assert record.unusable == f"age_low and age_high are no range: {low}..{high}"


# Boxes of faces


def test_a_box_is_one_column_or_four_and_may_be_missing(tmp_path: Path) -> None:
    one = read(tmp_path, "media;face_box\na.jpg;10 20,5 110 140\nb.jpg;\n")
    assert [record.face_box for record in one] == [(10.0, 20.5, 110.0, 140.0), None]
    four = read(
        tmp_path,
        "filename,x_min,y_min,x_max,y_max\na.jpg,10,20.5,110,140\nb.jpg,,,,\n",
        {
            "media": "filename",
            "face_x1": "x_min",
            "face_y1": "y_min",
            "face_x2": "x_max",
            "face_y2": "y_max",
        },
    )
    assert four == one


@pytest.mark.parametrize(
    "box", ["10 20 30", "10 20 30 40 50", "30 20 10 40", "10 40 30 20", "a b c d", "0 0 nan 9",
            "0 0 inf 9"],
)  # fmt: skip
def test_what_is_no_box_is_a_problem(tmp_path: Path, box: str) -> None:
    record = read_one(tmp_path, f"media,face_box\na.jpg,{box}\n")
    assert (record.face_box, record.unusable) == (None, f"face_box is no x1 y1 x2 y2: {box}")


def test_a_box_with_an_edge_missing_is_a_problem(tmp_path: Path) -> None:
    record = read_one(tmp_path, "media,face_x1,face_y1,face_x2,face_y2\na.jpg,1,2,3,\n")
    assert record.unusable == "face_box is no x1 y1 x2 y2: 1 2 3"


# Headerless sound


def test_sound_with_an_encoding_is_sound_alone(tmp_path: Path) -> None:
    text = "media,audio_encoding\na.raw,s16le@8000\nb.raw,\n"
    assert read(tmp_path, text) == [
        ClipRecord("a", audio_path="a.raw", audio_encoding="s16le@8000"),
        ClipRecord("b", audio_path="b.raw", video_path="b.raw"),
    ]


# One table a split


def test_a_table_can_be_of_one_split(tmp_path: Path) -> None:
    text = "media,split\na.wav,\nb.wav,valid\nc.wav,test\n"
    assert [(record.split, record.unusable) for record in read(tmp_path, text, split="devel")] == [
        ("dev", None),
        ("dev", None),
        ("test", "split test in the table of dev"),
    ]


def test_a_line_may_say_which_of_train_or_dev_it_is(tmp_path: Path) -> None:
    text = "media,split\na.wav,\nb.wav,train\nc.wav,dev\nd.wav,test\n"
    assert [
        (record.split, record.unusable) for record in read(tmp_path, text, split=TRAIN_OR_DEV)
    ] == [
        (TRAIN_OR_DEV, None),
        ("train", None),
        ("dev", None),
        ("test", f"split test in the table of {TRAIN_OR_DEV}"),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "devel", "test"], ["train", "dev", "test"]),
        (["train", "test"], [TRAIN_OR_DEV, "test"]),
        (["train", "val"], ["train", "dev"]),
        (["train"], ["train"]),
    ],
)
def test_tables_of_train_and_test_alone_leave_dev_to_be_carved_out(
    tmp_path: Path, words: list[str], expected: list[str]
) -> None:
    for word in words:
        (tmp_path / f"{word}.csv").write_text(f"file,age\n{word}.wav,30\n")
    tables = {word: Path(f"{word}.csv") for word in words}
    columns = {"media": "file", "age_years": "age"}
    records = list(read_csv_tables("mine", tmp_path, tables, columns))
    assert records == [
        ClipRecord(word, split=split, audio_path=f"{word}.wav", age_years=30.0)
        for word, split in zip(words, expected, strict=True)
    ]


def test_an_unknown_split_of_a_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("media\na.wav\n")
    with pytest.raises(
        CorpusError, match="'holdout' is no split of a table, expected one of train, "
    ):
        list(read_csv_tables("mine", tmp_path, {"holdout": TABLE}))


# The whole


def test_an_audformat_database_is_listed_whole(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    (root / "wav").mkdir(parents=True)
    for name in "abcd":
        write_sound(root / "wav" / f"{name}.wav", tone(0.5))
    lines = {
        "train": "wav/a.wav,0 days,NaT,30,female,s1\nwav/b.wav,0 days 00:00:01,NaT,40,male,s2\n",
        "dev": "wav/c.wav,0 days,NaT,8,child,s3\n",
        "test": "wav/d.wav,0 days,NaT,50,other,s4\nwav/e.wav,0 days,NaT,60,male,s5\n",
    }
    for split, text in lines.items():
        (root / f"db.{split}.csv").write_text(f"file,start,end,age,gender,speaker\n{text}")
    tables = {split: Path(f"db.{split}.csv") for split in lines}
    records = read_csv_tables("mine", root, tables, AUDFORMAT)
    manifest = build_manifest("mine", root, records, tmp_path / "hashes.parquet")
    columns = ["clip_id", "speaker_id", "split", "gender", "age_years"]
    assert manifest.clips[columns].to_numpy().tolist() == [
        ["mine/wav/a", "s1", "train", "female", 30.0],
        ["mine/wav/c", "s3", "dev", "child", 8.0],
    ]
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "mine/wav/b": "a segment of a file: 0 days 00:00:01 to NaT",
        "mine/wav/d": "unknown gender: other",
        "mine/wav/e": "no such file",
    }
    sound = decode_audio(root / manifest.clips["audio_path"][0], max_duration_s=10.0)
    assert len(sound) == 8_000
