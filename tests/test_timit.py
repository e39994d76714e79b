"""Copies of TIMIT, as they differ -> records: where the tree lies, ages, contradictions."""

from pathlib import Path

import numpy as np
import pytest

from oragen.corpora.manifest import Manifest, build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.corpora.timit import CARD, read_timit
from oragen.media.audio import decode_audio
from tests.media_files import tone, write_sound, write_sphere
from tests.timit_tree import FOLDERS, SAMPLES, SPEAKERS, plant
from tests.users import open_folder, ordinary_user


def read(root: Path) -> list[ClipRecord]:
    return list(read_timit("timit", root))


def by_stem(root: Path) -> dict[str, ClipRecord]:
    return {record.stem: record for record in read(root)}


def age_of(root: Path, recorded: str, born: str) -> ClipRecord:
    line = f"ABX0 F 3 TRN {recorded} {born} 5'04\" WHT BS\n"
    (record,) = read(plant(root, speakers=line, folders=FOLDERS[:1]))
    return record


def manifest_of(root: Path) -> Manifest:
    return build_manifest("timit", root, read_timit("timit", root), root.parent / "hashes.parquet")


# Speakers


def test_a_sentence_has_the_labels_of_its_speaker(tmp_path: Path) -> None:
    """To 11 February 1986 from 30 July 1958: 27 years with 7 leap days, and 196 days.

    To 25 March 1986 from 2 November 1931: 54 years with 14 leap days, and 143 days.
    """
    assert read(plant(tmp_path)) == [
        ClipRecord(
            "TEST/DR7/MQRT1/SA1",
            "MQRT1",
            split="test",
            gender="male",
            age_years=(54 * 365 + 14 + 143) / 365.25,
            audio_path="TEST/DR7/MQRT1/SA1.WAV",
        ),
        ClipRecord(
            "TRAIN/DR3/FABX0/SA1",
            "FABX0",
            split=TRAIN_OR_DEV,
            gender="female",
            age_years=(27 * 365 + 7 + 196) / 365.25,
            audio_path="TRAIN/DR3/FABX0/SA1.WAV",
        ),
        ClipRecord(
            "TRAIN/DR5/MZZA2/SA1",
            "MZZA2",
            split=TRAIN_OR_DEV,
            gender="male",
            audio_path="TRAIN/DR5/MZZA2/SA1.WAV",
        ),
    ]


@pytest.mark.parametrize(
    ("recorded", "born", "age_years"),
    [
        ("01/01/86", "01/01/86", 0.0),
        ("02/28/86", "02/28/66", 20.0),  # 20 years, five of them leap
        ("02/27/86", "02/28/66", 19.997),
        ("01/01/86", "01/02/86", 99.997),  # born in 1886
        ("01/01/86", "01/01/90", 96.0),  # in 1890, not in 2090 or 1990
        ("01/01/86", "12/31/10", 75.003),  # in 1910, which %y reads as 2010
    ],
)
def test_a_year_of_two_digits_is_the_last_before_the_recording(
    tmp_path: Path, recorded: str, born: str, age_years: float
) -> None:
    record = age_of(tmp_path, recorded, born)
    assert record.age_years == pytest.approx(age_years, abs=0.005)
    assert record.unusable is None


@pytest.mark.parametrize(
    ("recorded", "born"),
    [("02/11/86", "??/??/??"), ("??/??/??", "07/30/58"), ("02/11/86", "07/??/58")],
)
def test_an_unknown_date_leaves_the_gender(tmp_path: Path, recorded: str, born: str) -> None:
    record = age_of(tmp_path, recorded, born)
    assert (record.gender, record.age_years, record.unusable) == ("female", None, None)


@pytest.mark.parametrize("born", ["02/30/58", "1958", "07-30-58", "58/07/30"])
def test_what_is_no_date_is_a_problem(tmp_path: Path, born: str) -> None:
    assert age_of(tmp_path, "02/11/86", born).unusable == (
        f"no dates in SPKRINFO.TXT: 02/11/86, {born}"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ABX0 F 4 TRN", "TRAIN/DR4/FABX0"),
        ("ABX0 F 3 TST", "TEST/DR3/FABX0"),
        ("ABX0 F 3 TRN 02/11/86 01/01/50\nABX0 F 3 TRN", "TRAIN/DR3/FABX0"),
    ],
    ids=["region", "part", "two lines"],
)
def test_a_speaker_whose_line_contradicts_the_folder_is_unusable(
    tmp_path: Path, line: str, said: str
) -> None:
    speakers = f"{line} 02/11/86 07/30/58 5'04\" WHT BS\n"
    (record,) = read(plant(tmp_path, speakers=speakers, folders=FOLDERS[:1]))
    assert record.unusable == f"SPKRINFO.TXT contradicts the folder or itself: {said}"


def test_a_line_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    records = read(plant(tmp_path, speakers=SPEAKERS + SPEAKERS))
    assert [record.unusable for record in records] == [None, None, None]


def test_a_comment_may_hold_any_bytes(tmp_path: Path) -> None:
    table = plant(tmp_path) / "DOC" / "SPKRINFO.TXT"
    table.write_bytes(table.read_bytes().replace(b"lake", b"\xff\xe9"))
    assert [record.unusable for record in read(tmp_path)] == [None, None, None]


def test_a_folder_of_the_other_sex_is_another_speaker(tmp_path: Path) -> None:
    folder = "TRAIN/DR3/MABX0"
    speakers = "ABX0 F 3 TRN 02/11/86 07/30/58 5'04\" WHT BS\n"
    records = by_stem(plant(tmp_path, speakers=speakers, folders=[folder]))
    assert {stem: record.unusable for stem, record in records.items()} == {
        f"{folder}/SA1": "no line in SPKRINFO.TXT: MABX0",
        "TRAIN/DR3/FABX0": "no folder of the speaker: TRAIN/DR3/FABX0",
    }


@pytest.mark.parametrize(
    "line",
    [
        "ABX0 F 3 TRN 02/11/86",
        "ABX0 X 3 TRN 02/11/86 07/30/58",
        "ABX0 F 3 DEV 02/11/86 07/30/58",
    ],
    ids=["too short", "sex", "use"],
)
def test_a_line_that_is_not_of_a_speaker_is_recorded_by_its_number(
    tmp_path: Path, line: str
) -> None:
    records = by_stem(plant(tmp_path, speakers=f"; names\n{line}\n", folders=FOLDERS[:1]))
    assert records["SPKRINFO.TXT line 2"].unusable == f"no line of a speaker: {line}"
    assert records["TRAIN/DR3/FABX0/SA1"].unusable == "no line in SPKRINFO.TXT: FABX0"


def test_a_folder_without_recordings_is_recorded(tmp_path: Path) -> None:
    (plant(tmp_path) / "TRAIN/DR3/FABX0/SA1.WAV").unlink()
    record = by_stem(tmp_path)["TRAIN/DR3/FABX0"]
    assert record.unusable == "no recordings: TRAIN/DR3/FABX0"


# Sentences


def test_a_converted_twin_is_no_second_sentence(tmp_path: Path) -> None:
    folder = plant(tmp_path, folders=FOLDERS[:1]) / FOLDERS[0]
    for name in ("SA1.WAV.wav", "SX9.WAV.wav", "sa2.wav", "._SA1.WAV"):
        write_sound(folder / name, tone(0.1))
    paths = {record.stem: record.audio_path for record in read(tmp_path) if record.audio_path}
    assert paths == {
        f"{FOLDERS[0]}/SA1": f"{FOLDERS[0]}/SA1.WAV",
        f"{FOLDERS[0]}/SA2": f"{FOLDERS[0]}/sa2.wav",
        f"{FOLDERS[0]}/SX9": f"{FOLDERS[0]}/SX9.WAV.wav",  # has no original
    }


# Where the tree lies


def to_lower_case(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.lower()))


@pytest.mark.parametrize("place", [".", "data", "TIMIT", "data/lisa/data/timit/raw/TIMIT"])
@pytest.mark.parametrize("lower", [False, True], ids=["capitals", "lower case"])
def test_the_tree_is_found_wherever_it_lies(tmp_path: Path, place: str, lower: bool) -> None:
    plant(tmp_path / place)
    if lower:
        to_lower_case(tmp_path)
    records = by_stem(tmp_path)
    assert list(records) == [f"{folder}/SA1" for folder in sorted(FOLDERS)]
    for record in records.values():
        assert record.unusable is None
        assert (tmp_path / str(record.audio_path)).is_file()


@pytest.mark.parametrize(
    "place", ["SPKRINFO.TXT", "a/SPKRINFO.TXT", "a/doc/spkrinfo.txt", "a/b/Spkrinfo.txt"]
)
def test_the_table_of_speakers_may_lie_above_the_tree(tmp_path: Path, place: str) -> None:
    tree = plant(tmp_path / "a" / "b")
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tree / "DOC" / "SPKRINFO.TXT").rename(tmp_path / place)
    assert [record.unusable for record in read(tmp_path)] == [None, None, None]


def test_the_table_of_speakers_is_not_sought_above_the_root(tmp_path: Path) -> None:
    plant(tmp_path / "root")
    (tmp_path / "root/DOC/SPKRINFO.TXT").rename(tmp_path / "SPKRINFO.TXT")
    with pytest.raises(CorpusError, match=r"there is no SPKRINFO\.TXT with .*root"):
        read(tmp_path / "root")


def test_train_and_test_of_something_else_are_not_the_tree(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part / "images").mkdir(parents=True)
    plant(tmp_path / "x" / "y")
    assert len(read(tmp_path)) == 3


@pytest.mark.parametrize("missing", ["TEST", "TRAIN"])
def test_half_a_tree_is_refused_with_what_is_expected(tmp_path: Path, missing: str) -> None:
    (plant(tmp_path) / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(
        CorpusError, match=r"(?s)no folder .* holds TRAIN/DR1 and TEST.*DOC, T.*, elsewhere.*DOC/SP"
    ):
        read(tmp_path)


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="at its top is nothing"):
        read(tmp_path / "none")


def test_the_search_ends_at_its_depth_and_at_links(tmp_path: Path) -> None:
    """A link to the root itself would lead on for ever."""
    plant(tmp_path / "root/1/2/3/4/5/6/7")
    (tmp_path / "root/again").symlink_to(tmp_path / "root")
    plant(tmp_path / "other")
    (tmp_path / "root/other").symlink_to(tmp_path / "other")
    with pytest.raises(CorpusError, match="down to 6 levels below holds"):
        read(tmp_path / "root")


def test_the_search_ends_after_so_many_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}").mkdir()
    plant(tmp_path / "99")
    assert len(read(tmp_path)) == 3
    monkeypatch.setattr("oragen.corpora.timit._MAX_FOLDERS", 20)
    with pytest.raises(CorpusError, match="no folder"):
        read(tmp_path)


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    plant(tmp_path / "real" / "timit")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(manifest_of(tmp_path / "link").clips) == 3


def test_a_speaker_whose_folder_may_not_be_read_is_recorded() -> None:
    with open_folder() as root:
        (plant(root) / FOLDERS[0]).chmod(0)
        with ordinary_user():
            assert by_stem(root)[FOLDERS[0]].unusable == f"no recordings: {FOLDERS[0]}"


# The whole


def test_a_copy_is_listed_whole_and_its_sphere_files_are_decoded(tmp_path: Path) -> None:
    speakers = SPEAKERS + "NOB0 F 1 TRN 01/01/86 01/01/60 5'04\" WHT BS\n"
    root = plant(tmp_path / "root", speakers=speakers, folders=[*FOLDERS, "TEST/DR1/MWHO0"])
    write_sphere(root / FOLDERS[0] / "SX10.WAV", SAMPLES)
    write_sound(root / FOLDERS[0] / "SX10.WAV.wav", tone(0.1))
    manifest = manifest_of(root)
    clips = manifest.clips.set_index("clip_id")
    assert sorted(clips.index) == [
        "timit/TEST/DR7/MQRT1/SA1",
        "timit/TRAIN/DR3/FABX0/SA1",
        "timit/TRAIN/DR3/FABX0/SX10",
        "timit/TRAIN/DR5/MZZA2/SA1",
    ]
    assert clips["gender"].value_counts().to_dict() == {"female": 2, "male": 2}
    assert clips["split"].eq("test").tolist() == clips["speaker_id"].eq("MQRT1").tolist()
    assert clips["age_years"].count() == 3
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "timit/TEST/DR1/MWHO0/SA1": "no line in SPKRINFO.TXT: MWHO0",
        "timit/TRAIN/DR1/FNOB0": "no folder of the speaker: TRAIN/DR1/FNOB0",
    }
    for path in clips["audio_path"]:
        np.testing.assert_array_equal(decode_audio(root / path, max_duration_s=10.0), SAMPLES)


def test_the_published_statistics_count_all_speakers() -> None:
    assert CARD.statistics is not None
    assert sum(CARD.statistics.by_gender.values()) == 630
    assert CARD.statistics.clips == 10 * 630
