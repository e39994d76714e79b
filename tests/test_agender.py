"""The lists of aGender -> records: which column holds what, children, raw sound and its twin."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from oragen.corpora.agender import CARD, COLUMNS, read_agender
from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.media.audio import decode_audio
from tests.agender_tree import TRAIN, write_lists, write_raw
from tests.media_files import tone, write_sound


def read(root: Path, columns: Mapping[str, int] = COLUMNS) -> list[ClipRecord]:
    return list(read_agender("agender", root, columns=columns))


def read_line(root: Path, line: str, columns: Mapping[str, int] = COLUMNS) -> ClipRecord:
    """What becomes of a line among two that are right."""
    right = "".join(
        " ".join({"path": f"{n}.raw", "speaker": n, "class": "4", "age": "30", "gender": "f"}[name]
                 for name in sorted(columns, key=lambda name: columns[name])) + "\n"
        for n in ("s1", "s2")
    )  # fmt: skip
    return read(write_lists(root, right + line, ""), columns)[2]


# Lists


def test_a_line_is_a_clip_and_devel_the_test(tmp_path: Path) -> None:
    assert read(write_lists(tmp_path)) == [
        ClipRecord(
            f"wav_traindevel/{speaker}/{session}/a{session}{speaker}s{number}",
            speaker,
            split=split,
            gender=gender,
            age_years=age_years,
            audio_path=f"wav_traindevel/{speaker}/{session}/a{session}{speaker}s{number}.raw",
            audio_encoding="s16le@8000",
        )
        for speaker, session, number, split, gender, age_years in [
            ("9001", 1, 3, TRAIN_OR_DEV, "female", 61.0),
            ("9002", 2, 7, TRAIN_OR_DEV, "child", 11.0),
            ("9003", 1, 1, TRAIN_OR_DEV, "male", 38.0),
            ("9004", 1, 3, "test", "male", 24.0),
        ]
    ]


@pytest.mark.parametrize(
    ("age", "letter", "class_id", "gender"),
    [
        ("3", "x", "1", "child"), ("14", "x", "1", "child"), ("14", "f", "1", "child"),
        ("14", "m", "1", "child"), ("15", "f", "2", "female"), ("15", "m", "3", "male"),
        ("24", "f", "2", "female"), ("24", "m", "3", "male"), ("25", "f", "4", "female"),
        ("25", "m", "5", "male"), ("54", "f", "4", "female"), ("54", "m", "5", "male"),
        ("55", "f", "6", "female"), ("55", "m", "7", "male"), ("90", "M", "7", "male"),
    ],
)  # fmt: skip
def test_age_letter_and_class_fit_each_other(
    tmp_path: Path, age: str, letter: str, class_id: str, gender: str
) -> None:
    record = read_line(tmp_path, f"a.raw s9 {class_id} {age} {letter}\n")
    assert (record.gender, record.age_years, record.unusable) == (gender, float(age), None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.raw s9 4 30", "too few columns: a.raw s9 4 30"),
        ("a.raw s9 4 30 d", "unknown gender: d"),
        ("a.raw s9 4 old f", "age is no number: old"),
        ("a.raw s9 1 2 x", "age outside 3..90: 2"),
        ("a.raw s9 7 91 m", "age outside 3..90: 91"),
        ("a.raw s9 1 15 x", "a child of more than 14 years: 15"),
        ("a.raw s9 5 30 f", "class 5, but age and gender are those of class 4"),
        ("a.raw s9 2 14 f", "class 2, but age and gender are those of class 1"),
        ("a.txt s9 4 30 f", "neither .raw nor .wav: a.txt"),
        ("a.raw s9 4 old d", "age is no number: old; unknown gender: d"),
    ],
)
def test_a_line_that_breaks_a_rule_is_recorded(tmp_path: Path, line: str, reason: str) -> None:
    assert read_line(tmp_path, line + "\n").unusable == reason


def test_lines_may_end_as_on_windows_and_be_blank(tmp_path: Path) -> None:
    root = write_lists(tmp_path, TRAIN.replace("\n", "\r\n") + "\r\n", "\n\n")
    assert [(record.speaker_id, record.unusable) for record in read(root)] == [
        ("9001", None),
        ("9002", None),
        ("9003", None),
    ]


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write_lists(tmp_path)
    (tmp_path / "trainSampleList_train.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(CorpusError, match=r"train\.txt is not UTF-8 text"):
        read(tmp_path)


# Columns


def test_columns_may_lie_elsewhere_and_the_class_be_unknown(tmp_path: Path) -> None:
    """As if the class came before the speaker, or had other names than 1 to 7."""
    swapped = {"path": 0, "class": 1, "speaker": 2, "age": 3, "gender": 4}
    record = read_line(tmp_path, "a.raw 4 s9 30 f\n", swapped)
    assert (record.speaker_id, record.unusable) == ("s9", None)
    without = {"path": 0, "speaker": 1, "age": 2, "gender": 3}
    record = read_line(tmp_path, "a.raw s9 30 f further columns\n", without)
    assert (record.gender, record.unusable) == ("female", None)


@pytest.mark.parametrize(
    "columns",
    [
        {"path": 0, "speaker": 2, "class": 1, "age": 3, "gender": 4},
        {"path": 0, "speaker": 1, "class": 3, "age": 2, "gender": 4},
        {"path": 0, "speaker": 1, "class": 2, "age": 4, "gender": 3},
        {"path": 1, "speaker": 0, "class": 2, "age": 3, "gender": 4},
        {"path": 0, "speaker": 1, "class": 2, "age": 3, "gender": 5},
    ],
    ids=["speaker and class", "age and class", "age and gender", "path and speaker", "too few"],
)
def test_columns_that_nearly_every_line_contradicts_are_refused(
    tmp_path: Path, columns: dict[str, int]
) -> None:
    with pytest.raises(CorpusError) as caught:
        read(write_lists(tmp_path), columns)
    assert "3 of the first 3 lines" in str(caught.value)
    assert f"columns {columns}" in str(caught.value)
    assert "'wav_traindevel/9001/1/a19001s3.raw 9001 6 61 f'" in str(caught.value)


def test_a_few_wrong_lines_do_not_put_the_columns_in_doubt(tmp_path: Path) -> None:
    wrong = "x.raw s8 1 30 f\ny.raw s9 1 30 f\nz.raw s9 1 30 f\n"
    assert len(read(write_lists(tmp_path, TRAIN + wrong))) == 7
    with pytest.raises(CorpusError, match="4 of the first 7 lines"):
        read(write_lists(tmp_path, TRAIN + wrong + "v.raw s9 1 30 f\n"))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (
            {**COLUMNS, "sex": 5},
            r"agender\.columns names 'sex', expected path, speaker, class, age",
        ),
        ({**COLUMNS, "genders": 5}, r"did you mean 'gender'\?"),
        ({"path": 0, "class": 1}, r"agender\.columns lacks speaker, age, gender"),
        ({**COLUMNS, "age": 4}, "expected a different column for each name"),
        ({**COLUMNS, "age": -1}, "expected a different column for each name"),
    ],
    ids=["unknown", "mistyped", "missing", "one for two", "negative"],
)
def test_what_is_no_map_of_columns_is_refused(
    tmp_path: Path, columns: dict[str, int], complaint: str
) -> None:
    with pytest.raises(CorpusError, match=complaint):
        read(write_lists(tmp_path), columns)


# Sound


def test_the_encoding_is_that_of_the_raw_files(tmp_path: Path) -> None:
    records = read_agender("agender", write_lists(tmp_path), sample_format="alaw", rate_hz=8000)
    assert {record.audio_encoding for record in records} == {"alaw@8000"}


def test_a_converted_twin_is_taken_where_there_is_no_raw_file(tmp_path: Path) -> None:
    lines = "".join(
        f"{name} s 4 30 f\n" for name in ("a.raw", "b.raw", "c.RAW", "d.wav", "e.raw", "f.RAW")
    )
    root = write_lists(tmp_path, lines, "")
    write_raw(root / "a.raw")
    write_raw(root / "f.RAW")
    for name in ("a.wav", "b.wav", "c.WAV", "d.wav"):
        write_sound(root / name, tone(0.1, rate_hz=8000), rate_hz=8000)
    assert [(record.stem, record.audio_path, record.audio_encoding) for record in read(root)] == [
        ("a", "a.raw", "s16le@8000"),
        ("b", "b.wav", None),
        ("c", "c.WAV", None),
        ("d", "d.wav", None),
        ("e", "e.raw", "s16le@8000"),  # neither is there: the manifest will say so
        ("f", "f.RAW", "s16le@8000"),
    ]


def test_a_path_that_leads_nowhere_is_left_to_the_manifest(tmp_path: Path) -> None:
    lines = "".join(
        f"{path} s{n} 4 30 f\n" for n, path in enumerate(["/a.raw", "../b.raw", "c" * 300 + ".raw"])
    )
    root = write_lists(tmp_path / "root", lines + "d.raw s9 4 30 f\n", "")
    write_raw(root / "d.raw")
    manifest = build_manifest("agender", root, read(root), tmp_path / "hashes.parquet")
    assert [item.reason for item in manifest.skipped] == [
        "path leaves the corpus root: /a.raw",
        "path leaves the corpus root: ../b.raw",
        "not a usable path",
    ]


# Where the lists lie


def test_the_distribution_may_lie_in_the_folder_of_its_name(tmp_path: Path) -> None:
    write_lists(tmp_path / "agender_distribution")
    record = read(tmp_path)[0]
    assert record.audio_path == "agender_distribution/wav_traindevel/9001/1/a19001s3.raw"
    assert record.stem == "wav_traindevel/9001/1/a19001s3"


def test_a_missing_list_is_named_with_what_is_expected(tmp_path: Path) -> None:
    (write_lists(tmp_path) / "trainSampleList_devel.txt").unlink()
    with pytest.raises(
        CorpusError, match=r"(?s)there is no trainSampleList_devel\.txt\. Expected.*wav_traindevel"
    ):
        read(tmp_path)
    with pytest.raises(CorpusError, match=r"no trainSampleList_train\.txt and no trainSample"):
        read(tmp_path / "none")


# The whole


def test_a_distribution_is_listed_whole(tmp_path: Path) -> None:
    root = write_lists(tmp_path / "root", TRAIN + "wav_traindevel/9/1/a.raw 9 5 30 f\n")
    for name in ("9001/1/a19001s3", "9002/2/a29002s7"):
        write_raw(root / "wav_traindevel" / f"{name}.raw")
    twin = root / "wav_traindevel/9004/1/a19004s3.wav"
    twin.parent.mkdir(parents=True)
    write_sound(twin, tone(0.5, rate_hz=8000), rate_hz=8000, codec="pcm_alaw")
    manifest = build_manifest("agender", root, read(root), tmp_path / "hashes.parquet")
    clips = manifest.clips.set_index("speaker_id")
    assert clips["gender"].to_dict() == {"9001": "female", "9002": "child", "9004": "male"}
    assert clips["split"].eq("test").to_dict() == {"9001": False, "9002": False, "9004": True}
    assert clips["age_years"].to_dict() == {"9001": 61.0, "9002": 11.0, "9004": 24.0}
    assert clips["audio_encoding"].fillna("").to_dict() == {
        "9001": "s16le@8000",
        "9002": "s16le@8000",
        "9004": "",
    }
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "agender/wav_traindevel/9003/1/a19003s1": "no such file",
        "agender/wav_traindevel/9/1/a": "class 5, but age and gender are those of class 4",
    }
    sound = decode_audio(root / clips.loc["9004", "audio_path"], max_duration_s=10.0)
    assert len(sound) == 8000  # half a second at 16 kHz
    assert np.abs(sound).max() == pytest.approx(16_384, rel=0.05)


def test_the_published_statistics_count_the_speakers_of_train_and_devel() -> None:
    assert CARD.statistics is not None
    assert sum(CARD.statistics.by_gender.values()) == 770
