"""A release of Common Voice, fabricated as documented -> its clips."""

from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from oragen.corpora.common_voice import read_common_voice
from oragen.corpora.manifest import Manifest, build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from tests.common_voice_tree import NEW, OLD, RELEASE, Fields, clip, write_official, write_table
from tests.media_files import tone, write_sound


def read(
    root: Path,
    splits: Literal["official", "ours"] = "ours",
    languages: list[str] | None = None,
) -> list[ClipRecord]:
    return list(read_common_voice("cv", root, languages=languages, splits=splits))


def read_one(root: Path, **fields: str) -> ClipRecord:
    write_table(root / "en", "validated", clip(1, **fields))
    (record,) = read(root)
    return record


# Labels


@pytest.mark.parametrize(
    ("word", "low", "middle", "high"),
    [
        ("teens", 13, 15.5, 18),
        ("twenties", 19, 24, 29),
        ("thirties", 30, 34.5, 39),
        ("fourties", 40, 44.5, 49),
        ("forties", 40, 44.5, 49),
        ("fifties", 50, 54.5, 59),
        ("sixties", 60, 64.5, 69),
        ("seventies", 70, 74.5, 79),
        ("eighties", 80, 84.5, 89),
        ("nineties", 90, 94.5, 99),
    ],
)
def test_an_age_is_a_decade_of_whole_years_and_their_mean(
    tmp_path: Path, word: str, low: int, middle: float, high: int
) -> None:
    record = read_one(tmp_path, age=word)
    assert (record.age_low, record.age_years, record.age_high) == (low, middle, high)


@pytest.mark.parametrize(
    ("word", "gender"),
    [
        ("male", "male"),
        ("female", "female"),
        ("male_masculine", "male"),
        ("female_feminine", "female"),
        ("transgender", None),
        ("non-binary", None),
        ("do_not_wish_to_say", None),
        ("intersex", None),
        ("other", None),
        ("", None),
    ],
)
def test_the_words_of_all_releases_for_gender_are_known(
    tmp_path: Path, word: str, gender: str | None
) -> None:
    """`female` holds `male`, and a clip without a known gender still has its age."""
    record = read_one(tmp_path, gender=word)
    assert (record.gender, record.age_years, record.unusable) == (gender, 24, None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"age": "hundreds"}, "unknown age: hundreds"),
        ({"gender": "woman"}, "unknown gender: woman"),
        ({"age": "x", "gender": "y"}, "unknown age: x; unknown gender: y"),
        ({"age": "", "gender": ""}, "no label"),
        ({"age": "", "gender": "do_not_wish_to_say"}, "no label"),
    ],
)
def test_a_word_that_is_not_known_or_no_label_makes_a_clip_unusable(
    tmp_path: Path, fields: Fields, reason: str
) -> None:
    assert read_one(tmp_path, **fields).unusable == reason


def test_each_clip_keeps_what_its_speaker_said_of_themselves_then(tmp_path: Path) -> None:
    rows = [clip(1), clip(2, age="thirties"), clip(3, gender="", age="")]
    write_table(tmp_path / "en", "validated", *rows)
    found = [(record.speaker_id, record.age_years, record.unusable) for record in read(tmp_path)]
    assert found == [("ann", 24, None), ("ann", 34.5, None), ("ann", None, "no label")]


# Tables


def test_a_row_becomes_a_record(tmp_path: Path) -> None:
    write_official(tmp_path / "de", train=[clip(7, locale="de")])
    assert read(tmp_path, "official") == [
        ClipRecord(
            "de/clips/common_voice_xx_7",
            speaker_id="ann",
            split="train",
            audio_path="de/clips/common_voice_xx_7.mp3",
            gender="female",
            age_years=24.0,
            age_low=19.0,
            age_high=29.0,
            language="de",
        )
    ]


@pytest.mark.parametrize("columns", [NEW, OLD, NEW[::-1]], ids=["17.0", "4", "another order"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
def test_columns_are_read_by_name_in_any_release(
    tmp_path: Path, columns: tuple[str, ...], newline: str
) -> None:
    row = clip(1, gender="female", accents="x", accent="y", segment="Benchmark")
    write_table(tmp_path / "en", "validated", row, columns=columns, newline=newline)
    (record,) = read(tmp_path)
    assert record.audio_path == "en/clips/common_voice_xx_1.mp3"
    assert (record.gender, record.age_years, record.language) == ("female", 24, "en")


def test_a_column_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    write_table(tmp_path / "en", "validated", clip(1), columns=("path", "gender"))
    (record,) = read(tmp_path)
    assert (record.speaker_id, record.age_years, record.gender) == (None, None, "female")


def test_quotation_marks_enclose_nothing(tmp_path: Path) -> None:
    rows = [clip(1, sentence='He said "hi.'), clip(2, sentence="'"), clip(3, sentence='"')]
    write_table(tmp_path / "en", "validated", *rows)
    assert [record.stem[-1] for record in read(tmp_path)] == ["1", "2", "3"]


def test_the_locale_of_a_row_counts_before_the_folder(tmp_path: Path) -> None:
    assert read_one(tmp_path, locale="de").language == "de"


def test_the_first_releases_name_clips_without_their_suffix(tmp_path: Path) -> None:
    record = read_one(tmp_path, path="0123abcd")
    assert (record.stem, record.audio_path) == ("en/clips/0123abcd", "en/clips/0123abcd.mp3")


def test_a_row_of_too_few_or_too_many_fields_is_recorded_by_its_number(tmp_path: Path) -> None:
    write_table(tmp_path / "en", "validated", clip(1), clip(2))
    with (tmp_path / "en" / "validated.tsv").open("a") as file:
        file.write("ann\tcommon_voice_xx_3.mp3\n" + "\t" * 13 + "\n" + "\t" * 12 + "\n")
    assert [(record.stem, record.unusable) for record in read(tmp_path)] == [
        ("en/clips/common_voice_xx_1", None),
        ("en/clips/common_voice_xx_2", None),
        ("en/validated.tsv row 6", "no path"),
        ("en/validated.tsv row 4", "wrong number of fields: 2"),
        ("en/validated.tsv row 5", "wrong number of fields: 14"),
    ]


def test_a_row_without_a_path_is_recorded(tmp_path: Path) -> None:
    write_table(tmp_path / "en", "validated", clip(1), clip(2, path=""))
    assert [(record.stem, record.unusable) for record in read(tmp_path)][1] == (
        "en/validated.tsv row 3", "no path",
    )  # fmt: skip


def test_a_large_table_is_read_piece_by_piece(tmp_path: Path) -> None:
    """The last row is no text, and the first ones are there all the same."""
    rows = [clip(number, sentence="x" * 500) for number in range(20_000)]
    write_table(tmp_path / "en", "validated", *rows, clip("last"))
    path = tmp_path / "en" / "validated.tsv"
    path.write_bytes(path.read_bytes().replace(b"xx_last", b"\xff"))
    records = read_common_voice("cv", tmp_path, languages=None, splits="ours")
    assert next(records).stem == "en/clips/common_voice_xx_0"
    with pytest.raises(CorpusError, match=r"validated\.tsv is no table.*UTF8"):
        list(records)


# Folders and languages


def test_the_root_may_be_the_release_what_holds_it_or_a_language(tmp_path: Path) -> None:
    write_table(tmp_path / RELEASE / "en", "validated", clip(1))
    found = {root: read(root) for root in (tmp_path, tmp_path / RELEASE, tmp_path / RELEASE / "en")}
    assert [records[0].audio_path for records in found.values()] == [
        f"{RELEASE}/en/clips/common_voice_xx_1.mp3",
        "en/clips/common_voice_xx_1.mp3",
        "clips/common_voice_xx_1.mp3",
    ]
    assert {records[0].language for records in found.values()} == {"en"}


def test_only_the_languages_asked_for_are_read(tmp_path: Path) -> None:
    for language in ("en", "de", "ru", "zh-CN"):
        write_table(tmp_path / language, "validated", clip(1, locale=language))
    (tmp_path / "notes").mkdir()
    assert [record.language for record in read(tmp_path)] == ["de", "en", "ru", "zh-CN"]
    assert [record.language for record in read(tmp_path, languages=["ru", "en"])] == ["ru", "en"]


@pytest.mark.parametrize(
    ("folders", "languages", "complaint"),
    [
        (["en", "ru"], ["en", "de"], r"no de, only en, ru"),
        (
            [f"{RELEASE}/en", "cv-corpus-16.1-2023-12-06/en"],
            None,
            r"several releases, cv-corpus-16",
        ),
        ([], None, r"no folder of a language.*cv-corpus-<version>-<date>/"),
    ],
)
def test_a_root_that_is_not_as_expected_is_refused(
    tmp_path: Path, folders: list[str], languages: list[str] | None, complaint: str
) -> None:
    for folder in folders:
        write_table(tmp_path / folder, "validated", clip(1))
    with pytest.raises(CorpusError, match=f"(?s){complaint}"):
        read(tmp_path, languages=languages)


def test_a_root_that_is_not_there_is_refused_with_the_expected_tree(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"(?s)no such folder.*clips/\*\.mp3.*corpora\.cv\.root"):
        read(tmp_path / "gone")


def test_a_delta_release_says_to_use_our_splits(tmp_path: Path) -> None:
    write_table(tmp_path / "en", "validated", clip(1))
    with pytest.raises(CorpusError, match=r"en/train\.tsv is missing.*corpora\.cv\.splits.*`ours`"):
        read(tmp_path, "official")


def test_a_table_without_paths_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "en", "validated", clip(1), columns=("client_id", "sentence"))
    with pytest.raises(CorpusError, match=r"no column `path`, only client_id, sentence"):
        read(tmp_path)


# Splits


def test_a_speaker_of_two_languages_keeps_the_last_split_alone(tmp_path: Path) -> None:
    """So that the corpus can be used, and nobody is trained and tested on."""
    write_official(tmp_path / "de", train=[clip(1), clip(2, "bo")], dev=[clip(3, "cy")])
    write_official(tmp_path / "en", test=[clip(4)], dev=[clip(5, "bo")], train=[clip(6, "dee")])
    unusable = {record.stem[-1]: record.unusable for record in read(tmp_path, "official")}
    assert unusable == {
        "1": "speaker is in test of another language",
        "2": "speaker is in dev of another language",
        "3": None, "4": None, "5": None, "6": None,
    }  # fmt: skip


def test_a_speaker_of_two_splits_of_one_language_is_left_to_be_refused(tmp_path: Path) -> None:
    write_official(tmp_path / "de", train=[clip(1)])
    write_official(tmp_path / "en", train=[clip(2)], test=[clip(3)])
    assert [record.unusable for record in read(tmp_path, "official")] == [None] * 3


# The whole


def list_release(tmp_path: Path, splits: Literal["official", "ours"]) -> Manifest:
    """Twelve German and two English clips, one without a file; another German one in no split."""
    root = tmp_path / RELEASE
    official = {
        "train": [clip(number, f"speaker {number}") for number in range(8)],
        "dev": [clip(8, "dora", gender="male_masculine", age="fourties")],
        "test": [clip(9, "ed", gender="non-binary"), clip(10, "eve", age="", gender=""), clip(99)],
    }
    write_official(root / "de", **official)
    write_official(root / "en", train=[clip(11, "fay", age="")], dev=[clip(12, "gus", age="aged")])
    rows = [row for found in official.values() for row in found]
    write_table(root / "de", "validated", *rows, clip(13, "hal", gender="male_masculine"))
    write_table(root / "en", "validated", clip(11, "fay", age=""))
    for language in ("de", "en"):
        (root / language / "clips").mkdir()
    for number in range(14):
        language = "en" if number in (11, 12) else "de"
        path = root / language / "clips" / f"common_voice_xx_{number}.mp3"
        write_sound(path, tone(0.2, tone_hz=200.0 + number), codec="mp3")
    records = read_common_voice("cv", root, languages=None, splits=splits)
    return build_manifest("cv", root, records, tmp_path / "hashes.parquet")


SKIPPED = {
    "cv/de/clips/common_voice_xx_10": "no label",
    "cv/de/clips/common_voice_xx_99": "no such file",
}


def test_a_release_is_listed_by_its_splits(tmp_path: Path) -> None:
    manifest = list_release(tmp_path, "official")
    clips = manifest.clips
    assert clips.groupby(["split", "language"]).size().to_dict() == {
        ("train", "de"): 8, ("train", "en"): 1, ("dev", "de"): 1, ("test", "de"): 1,
    }  # fmt: skip
    assert clips["gender"].fillna("-").value_counts().to_dict() == {
        "female": 9, "male": 1, "-": 1,
    }  # fmt: skip
    assert clips["age_years"].isna().sum() == 1
    ages = clips.set_index("speaker_id").loc["dora", ["age_low", "age_years", "age_high"]]
    assert ages.tolist() == [40, 44.5, 49]
    assert clips["audio_hash"].nunique() == 11
    assert {item.clip_id: item.reason for item in manifest.skipped} == SKIPPED | {
        "cv/en/clips/common_voice_xx_12": "unknown age: aged"
    }


def test_all_validated_clips_are_divided_by_us(tmp_path: Path) -> None:
    """8 women in their twenties: ranks 0 to 5 of 8 are below 0.7, 6.5 / 8 is 0.81, 7.5 / 8 0.94.

    Four more are too few for a stratum of their own, for their genders, and to be divided by more
    than 0.125, 0.375, 0.625 and 0.875.
    """
    manifest = list_release(tmp_path, "ours")
    assert {item.clip_id: item.reason for item in manifest.skipped} == SKIPPED
    alike = manifest.clips["speaker_id"].str.startswith("speaker")
    assert Counter(manifest.clips.loc[alike, "split"]) == {"train": 6, "dev": 1, "test": 1}
    assert Counter(manifest.clips.loc[~alike, "split"]) == {"train": 3, "test": 1}
