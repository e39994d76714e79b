"""LAGENDA's table -> a record for each face."""

import logging
from pathlib import Path

import pytest

from oragen.corpora.lagenda import CARD, read_lagenda
from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from tests.lagenda_tree import FURTHER_FACE, HEADER, LABELLED, NO_FACE, TABLE, make


def read(root: Path, *lines: str, images: str = "lag_benchmark") -> list[ClipRecord]:
    return list(read_lagenda("lagenda", make(root, *lines, images=images), annotations=TABLE))


def test_a_face_with_a_label_is_a_clip(tmp_path: Path) -> None:
    assert read(tmp_path, LABELLED) == [
        ClipRecord(
            stem="lag_benchmark/0a1b/120_80_210_190",
            speaker_id="lag_benchmark/0a1b.jpg",
            image_path="lag_benchmark/0a1b.jpg",
            face_box=(120.0, 80.0, 210.0, 190.0),
            gender="female",
            age_years=34.0,
        )
    ]


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    names, fields = HEADER.split(","), LABELLED.split(",")
    make(tmp_path)
    text = f"{','.join(reversed(names))}\n{','.join(reversed(fields))}\n"
    (tmp_path / TABLE).write_text(text)
    (record,) = read_lagenda("lagenda", tmp_path, annotations=TABLE)
    assert record == read(tmp_path, LABELLED)[0]


def test_a_row_without_a_label_says_so_and_no_more(tmp_path: Path) -> None:
    assert read(tmp_path, FURTHER_FACE) == [
        ClipRecord("lag_benchmark/0a1b/400_90_460_160", unusable="no label")
    ]


def test_a_person_without_a_face_is_unusable(tmp_path: Path) -> None:
    (record,) = read(tmp_path, NO_FACE)
    assert record.unusable == "no face box"
    assert record.stem == "lag_benchmark/0c2d/person_15_22_140_380"


def test_a_label_of_one_kind_is_enough(tmp_path: Path) -> None:
    old, female = read(
        tmp_path,
        "lag_benchmark/0a1b.jpg,80,-1,1,2,3,4,-1,-1,-1,-1",
        "lag_benchmark/0c2d.jpg,-1,F,1,2,3,4,-1,-1,-1,-1",
    )
    assert (old.gender, old.age_years, old.unusable) == (None, 80.0, None)
    assert (female.gender, female.age_years, female.unusable) == ("female", None, None)


def test_the_faces_of_an_image_have_ids_of_their_own_and_one_split(tmp_path: Path) -> None:
    lines = [f"lag_benchmark/0a1b.jpg,30,F,{x},2,{x + 9},4,-1,-1,-1,-1" for x in range(40)]
    manifest = build_manifest(
        "lagenda",
        tmp_path,
        read_lagenda("lagenda", make(tmp_path, *lines), annotations=TABLE),
        tmp_path / "hashes",
    )
    assert manifest.clips["clip_id"].nunique() == 40
    assert manifest.clips["split"].nunique() == 1


def test_an_age_of_nothing_is_an_age(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "lag_benchmark/0a1b.jpg,0,M,1,2,3,4,-1,-1,-1,-1")
    assert (record.age_years, record.unusable) == (0.0, None)


def test_a_range_of_ages_keeps_its_ends(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "lag_benchmark/0a1b.jpg,25;32,M,1,2,3,4,-1,-1,-1,-1")
    assert (record.age_low, record.age_high, record.age_years) == (25.0, 32.0, 28.5)


@pytest.mark.parametrize(
    ("age", "gender", "x0", "reason"),
    [
        ("32;25", "M", "1", "age is no range: 32;25"),
        ("old", "M", "1", "age is no number: old"),
        ("30", "X", "1", "unknown gender: X"),
        ("30", "M", "", "no box: ,2,3,4"),
        ("30", "M", "3", "no box: 3,2,3,4"),
        ("30", "M", "nan", "no box: nan,2,3,4"),
        ("x", "y", "z", "unknown gender: y; age is no number: x; no box: z,2,3,4"),
    ],
)
def test_what_cannot_be_read_is_unusable(
    tmp_path: Path, age: str, gender: str, x0: str, reason: str
) -> None:
    (record,) = read(tmp_path, f"lag_benchmark/0a1b.jpg,{age},{gender},{x0},2,3,4,-1,-1,-1,-1")
    assert record.unusable == reason


def test_a_box_may_begin_a_pixel_before_its_image(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "lag_benchmark/0a1b.jpg,30,M,-1,-1,3,4,-1,-1,-1,-1")
    assert (record.face_box, record.unusable) == ((-1.0, -1.0, 3.0, 4.0), None)


@pytest.mark.parametrize(
    ("images", "path"),
    [
        ("lag_benchmark", "lag_benchmark/0a1b.jpg"),
        ("", "0a1b.jpg"),
        ("images", "images/0a1b.jpg"),
        ("images/lag_benchmark", "images/lag_benchmark/0a1b.jpg"),
    ],
)
def test_images_are_found_where_they_lie_and_are_called_the_same(
    tmp_path: Path, images: str, path: str
) -> None:
    (record,) = read(tmp_path, LABELLED, images=images)
    assert record.image_path == path
    assert record.stem == "lag_benchmark/0a1b/120_80_210_190"
    assert record.speaker_id == "lag_benchmark/0a1b.jpg"


def test_a_folder_without_table_or_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"no readable copy of LAGENDA: there is no table lagenda_ann"
    ):
        list(read_lagenda("faces", tmp_path, annotations=TABLE))
    (tmp_path / TABLE).write_text(HEADER)
    with pytest.raises(CorpusError, match=r"there is no folder lag_benchmark, and no \*\.jpg"):
        list(read_lagenda("faces", tmp_path, annotations=TABLE))


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / TABLE).write_text("img_name,age\na.jpg,3\n")
    with pytest.raises(CorpusError, match="lacks the column gender, face_x0"):
        list(read_lagenda("faces", tmp_path, annotations=TABLE))


def test_the_tree_becomes_a_table_of_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        LABELLED,
        FURTHER_FACE,
        NO_FACE,
        "lag_benchmark/0a1b.jpg,36,M,500,80,600,190,-1,-1,-1,-1",
        "lag_benchmark/0e3f.jpg,71,M,5,6,70,80,-1,-1,-1,-1",
        "lag_benchmark/b5c8ef090f134ad5.jpg.jpg,50,F,1,2,30,40,-1,-1,-1,-1",
    ]
    records = read_lagenda("lagenda", make(tmp_path, *lines), annotations=TABLE)
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        manifest = build_manifest("lagenda", tmp_path, records, tmp_path / "hashes")
    clips = manifest.clips.set_index("clip_id")
    assert clips["gender"].to_dict() == {
        "lagenda/lag_benchmark/0a1b/120_80_210_190": "female",
        "lagenda/lag_benchmark/0a1b/500_80_600_190": "male",
        "lagenda/lag_benchmark/0e3f/5_6_70_80": "male",
    }
    assert sorted(clips["age_years"]) == [34.0, 36.0, 71.0]
    assert list(clips["face_box"].iloc[0]) == [120.0, 80.0, 210.0, 190.0]
    assert clips["audio_path"].isna().all()
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "lagenda/lag_benchmark/0a1b/400_90_460_160": "no label",
        "lagenda/lag_benchmark/0c2d/person_15_22_140_380": "no face box",
        "lagenda/lag_benchmark/b5c8ef090f134ad5.jpg/1_2_30_40": "no such file",
    }
    assert caplog.messages == [
        "lagenda: 6 rows, of them 4 faces with a label, 1 without, 1 persons without a face"
    ]


def test_the_published_counts_add_up() -> None:
    assert CARD.statistics
    assert sum(CARD.statistics.by_gender.values()) == CARD.statistics.clips == 84_192
