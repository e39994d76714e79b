"""IMDB-Clean's tables, or MiVOLO's of it -> a record for each face."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from oragen.corpora.imdb_clean import CARD, read_imdb_clean
from oragen.corpora.manifest import Manifest, build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.schema.choices.corpora import Images
from tests.imdb_clean_tree import HEADER, MIVOLO_HEADER, TEST, TRAIN, VALID, make, write_tables

RECORD = ClipRecord(
    stem="07/nm0000001_rm111_1950-1-2_1990/210_180_420_430",
    speaker_id="nm0000001",
    split="train",
    image_path="data/imdb/07/nm0000001_rm111_1950-1-2_1990.jpg",
    face_box=(210.0, 180.0, 420.0, 430.0),
    gender="male",
    age_years=40.0,
)


def read(root: Path, images: Images = "original") -> list[ClipRecord]:
    return list(read_imdb_clean("imdb", root, images=images))


def list_tree(root: Path) -> Manifest:
    return build_manifest(
        "imdb", root, read_imdb_clean("imdb", root, images="original"), root / "h"
    )


def test_a_row_is_a_face_of_a_person(tmp_path: Path) -> None:
    assert read(make(tmp_path, TRAIN))[0] == RECORD


def test_splits_are_the_official_ones_and_valid_is_dev(tmp_path: Path) -> None:
    assert [record.split for record in read(make(tmp_path, TRAIN))] == ["train", "dev", "test"]


@pytest.mark.parametrize("header", ["a,b,c,d,e,f,g,h,i,j", "filename,age,gender,x1,y1,x2,y2,r,y,p"])
def test_columns_of_other_names_are_taken_in_their_order(tmp_path: Path, header: str) -> None:
    assert read(make(tmp_path, TRAIN, header=header))[0] == RECORD


def test_columns_in_another_order_are_found_by_their_names(tmp_path: Path) -> None:
    train, valid, test = (
        f"0,{','.join(reversed(line.split(',')))}" for line in (TRAIN, VALID, TEST)
    )
    header = f",{','.join(reversed(HEADER.split(',')))}"  # with the index that pandas writes
    write_tables(tmp_path / "csvs", [train], valid=valid, test=test, header=header)
    (tmp_path / "data" / "imdb").mkdir(parents=True)
    assert read(tmp_path)[0] == RECORD


def test_a_row_that_is_cut_short_is_unusable_and_the_next_is_not(tmp_path: Path) -> None:
    cut, record, *_ = read(make(tmp_path, "07/nm0000001_rm1_a.jpg,40,M,210", TRAIN))
    assert cut.unusable == "no box: 210,,,"
    assert record == RECORD


def test_the_crops_have_tables_and_images_of_their_own(tmp_path: Path) -> None:
    make(tmp_path, TRAIN)
    crop = "07/nm0000001_rm111_1950-1-2_1990.jpg,40,M,10,20,30,40,0,0,0"
    write_tables(tmp_path / "csvs", [crop], ending="_new_1024")
    (tmp_path / "data" / "imdb-clean-1024").mkdir()
    record = read(tmp_path, "1024")[0]
    assert record.face_box == (10.0, 20.0, 30.0, 40.0)
    assert record.image_path == ("data/imdb-clean-1024/07/nm0000001_rm111_1950-1-2_1990.jpg")


def test_the_copy_with_a_path_column_and_a_folder_in_a_folder_is_read(tmp_path: Path) -> None:
    header = HEADER.replace("filename", "path")
    write_tables(tmp_path, [TRAIN], ending="_new_1024", header=header)
    (tmp_path / "imdb-clean-1024" / "imdb-clean-1024").mkdir(parents=True)
    record = read(tmp_path, "1024")[0]
    assert record.speaker_id == "nm0000001"
    assert record.image_path == (
        "imdb-clean-1024/imdb-clean-1024/07/nm0000001_rm111_1950-1-2_1990.jpg"
    )


def test_folders_before_the_number_of_an_image_are_not_repeated(tmp_path: Path) -> None:
    make(tmp_path, f"imdb-clean-1024/{TRAIN}")
    assert read(tmp_path)[0] == RECORD


def test_annotations_of_mivolo_are_read_where_there_are_no_official_ones(tmp_path: Path) -> None:
    folder = tmp_path / "annotation"
    folder.mkdir()
    for split, line in {
        "train": "07/nm0000001_rm1_a.jpg,40,M,1,2,30,40,0,1,90,200",
        "valid": "08/nm0000002_rm2_a.jpg,-1,-1,1,2,30,40,-1,-1,-1,-1",
        "test": "09/nm0000003_rm3_a.jpg,50,-1,-1,-1,-1,-1,5,6,70,80",
    }.items():
        (folder / f"imdb_{split}_annotation.csv").write_text(f"{MIVOLO_HEADER}\n{line}\n")
    (tmp_path / "images").mkdir()
    train, valid, test = read(tmp_path)
    assert train == ClipRecord(
        stem="07/nm0000001_rm1_a/1_2_30_40",
        speaker_id="nm0000001",
        split="train",
        image_path="images/07/nm0000001_rm1_a.jpg",
        face_box=(1.0, 2.0, 30.0, 40.0),
        gender="male",
        age_years=40.0,
    )
    assert (valid.split, valid.unusable) == ("dev", "no label")
    assert (test.stem, test.unusable) == ("09/nm0000003_rm3_a/person_5_6_70_80", "no face box")


def test_two_annotations_of_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("a_train.csv", "b_train.csv"):
        (tmp_path / name).write_text(MIVOLO_HEADER)
    with pytest.raises(
        CorpusError, match=r"two tables of one split: a_train\.csv and b_train\.csv"
    ):
        read(tmp_path)


def test_a_missing_gender_is_an_unknown_one(tmp_path: Path) -> None:
    record = read(make(tmp_path, TRAIN.replace(",M,", ",,")))[0]
    assert (record.gender, record.age_years, record.unusable) == (None, 40.0, None)


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        ("0", "age outside 1..100: 0"),
        ("1", None),
        ("100", None),
        ("101", "age outside 1..100: 101"),
        ("-3", "age outside 1..100: -3"),
    ],
)
def test_ages_outside_1_to_100_are_left_out(tmp_path: Path, age: str, reason: str | None) -> None:
    assert read(make(tmp_path, TRAIN.replace(",40,", f",{age},")))[0].unusable == reason


def test_a_box_beyond_the_image_is_kept_as_it_is(tmp_path: Path) -> None:
    (record, *_) = read(make(tmp_path, TRAIN.replace("210,180,420,430", "-20,-5.5,9000,9999")))
    assert (record.face_box, record.unusable) == ((-20.0, -5.5, 9000.0, 9999.0), None)


def test_an_image_that_names_no_person_is_unusable(tmp_path: Path) -> None:
    (record, *_) = read(make(tmp_path, "07/portrait.jpg,40,M,1,2,3,4,0,0,0"))
    assert record.unusable == "no person in the name of the image: 07/portrait.jpg"


def test_a_row_with_a_field_too_many_is_unusable(tmp_path: Path) -> None:
    (record, *_) = read(make(tmp_path, f"0,{TRAIN}"))  # an index without a name of its column
    assert record.unusable
    assert record.unusable.startswith("more fields than columns; ")


def test_faces_of_one_image_differ_by_their_boxes(tmp_path: Path) -> None:
    second = TRAIN.replace("210,180,420,430", "500,180,600,430")
    first, other, *_ = read(make(tmp_path, TRAIN, second))
    assert first.image_path == other.image_path
    assert first.stem != other.stem


@pytest.mark.parametrize(
    ("images", "lost", "message"),
    [
        ("original", "csvs/imdb_valid_new.csv", "there is no table imdb_valid_new.csv, nor one"),
        ("1024", "csvs/imdb_valid_new.csv", "imdb_train_new_1024.csv, imdb_valid_new_1024.csv"),
        ("original", "data/imdb", "there is no folder of images data/imdb or imdb or images"),
    ],
)
def test_a_tree_that_lacks_something_is_refused(
    tmp_path: Path, images: Images, lost: str, message: str
) -> None:
    (make(tmp_path, TRAIN) / lost).rename(tmp_path / "elsewhere")
    with pytest.raises(CorpusError, match=message):
        read(tmp_path, images)


def test_a_person_in_two_splits_is_refused_by_name(tmp_path: Path) -> None:
    valid = VALID.replace("nm0000002", "nm0000001")
    with pytest.raises(CorpusError, match=r"two splits: nm0000001 \(dev\+train\)"):
        list_tree(make(tmp_path, TRAIN, valid=valid))


def test_the_tree_becomes_a_table_of_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = "44/nm0000004_rm4_a.jpg,20,M,1,2,3,4,0,0,0"
    make(
        tmp_path,
        TRAIN,
        TRAIN.replace("210,180,420,430", "500,180,600,430").replace(",M,", ",,"),
        "45/nm0000005_rm5_a.jpg,0,F,1,2,30,40,0,0,0",
        "46/nm0000006_rm6_a.jpg,20,F,9,2,9,4,0,0,0",
        lost,
    )
    (tmp_path / "data" / "imdb" / lost.partition(",")[0]).unlink()
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        manifest = list_tree(tmp_path)
    clips = manifest.clips
    assert Counter(zip(clips["split"], clips["gender"].fillna("unknown"), strict=True)) == {
        ("train", "male"): 1,
        ("train", "unknown"): 1,
        ("dev", "female"): 1,
        ("test", "female"): 1,
    }
    assert sorted(clips["age_years"]) == [33.0, 40.0, 40.0, 61.0]
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "imdb/45/nm0000005_rm5_a/1_2_30_40": "age outside 1..100: 0",
        "imdb/46/nm0000006_rm6_a/9_2_9_4": "no box: 9,2,9,4",
        "imdb/44/nm0000004_rm4_a/1_2_3_4": "no such file",
    }
    assert caplog.messages == [
        "imdb: 5 usable faces, 1 of another age than 1..100, 0 without a label, 1 of unknown gender"
    ]


def test_the_number_of_clips_is_that_of_the_splits() -> None:
    assert CARD.statistics
    assert CARD.statistics.clips == 183_886 + 45_971 + 56_086
