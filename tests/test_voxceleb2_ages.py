"""Tables of ages of VoxCeleb2 -> the age of each clip, or why there is none."""

from pathlib import Path

import pytest

from oragen.corpora.records import CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.corpora.voxceleb2 import read_voxceleb2
from tests.voxceleb2_tree import JANE, JOHN, enriched, make, read, write


def test_quoted_fields_may_hold_commas_and_line_breaks(tmp_path: Path) -> None:
    row = enriched(
        JANE,
        title_age="34.0",
        title='"Jane Doe talk, 2014"',
        description='"""some, text""\nid90001,AbCdEfGhIjK,99\n"',
    )
    (record,) = read(make(tmp_path, row))
    assert record.age_years == 34.0


def test_an_age_keeps_its_decimals(tmp_path: Path) -> None:
    (record,) = read(make(tmp_path, enriched(JANE, title_age="26.75")))
    assert record.age_years == 26.75


@pytest.mark.parametrize(
    ("column", "age"), [("speaker_age_title_only", 59.0), ("speaker_age", 58.0)]
)
def test_the_column_of_ages_is_chosen(tmp_path: Path, column: str, age: float) -> None:
    make(tmp_path, enriched(JANE, age="58.0", title_age="59.0"))
    (record,) = read(tmp_path, age_column=column)
    assert record.age_years == age
    assert next(read_voxceleb2("vox", tmp_path, ages="enrichment", tracks="both")).age_years == 59.0


def test_an_age_is_of_a_speaker_in_a_video_and_of_no_other(tmp_path: Path) -> None:
    rows = [enriched("id90001/v1", title_age="20.0"), enriched("id90001/v2", title_age="50.0")]
    rows += [enriched("id90003/v1", title_age="70.0")]
    media = ["id90001/v1/00001.m4a", "id90001/v1/00002.m4a", "id90001/v2/00003.m4a"]
    media += ["id90001/v3/00004.m4a", "id90003/v1/00001.m4a"]
    records = read(make(tmp_path, *rows, media=media))
    assert [record.age_years for record in records] == [20.0, 20.0, 50.0, None, 70.0]


def test_a_clip_without_an_age_is_kept_for_its_gender(tmp_path: Path) -> None:
    (record,) = read(make(tmp_path, enriched(JANE)))
    assert (record.gender, record.age_years, record.unusable) == ("female", None, None)


def test_a_clip_without_any_label_is_unusable(tmp_path: Path) -> None:
    meta = "VoxCeleb2 ID,VGGFace2 ID,Gender,Set\nid90001,n1,,dev\n"
    (record,) = read(make(tmp_path, enriched(JANE), meta=meta))
    assert record.unusable == "no label"


def test_ages_that_differ_or_are_none_are_unusable(tmp_path: Path) -> None:
    rows = [enriched("id90001/v1", title_age=age) for age in ("20.0", "22.0", "20.0")]
    rows += [enriched("id90001/v2", title_age="30.0")] * 2
    rows += [enriched("id90001/v3", title_age="young")]
    media = [f"id90001/v{number}/00001.m4a" for number in (1, 2, 3)]
    assert [record.unusable for record in read(make(tmp_path, *rows, media=media))] == [
        "more than one speaker_age_title_only: 20.0 and 22.0",
        None,
        "speaker_age_title_only is no number: young",
    ]


def test_ages_that_differ_by_a_year_are_a_range(tmp_path: Path) -> None:
    """A birthday between the recording and the upload is no contradiction."""
    rows = [enriched("id90001/v1", title_age=age) for age in ("41.0", "40.0", "nan", "41")]
    rows += [enriched("id90001/v2", title_age=age) for age in ("30", "30.0")]
    media = [f"id90001/v{number}/00001.m4a" for number in (1, 2)]
    records = read(make(tmp_path, *rows, media=media))
    assert [(one.age_years, one.age_low, one.age_high) for one in records] == [
        (40.5, 40.0, 41.0),
        (30.0, None, None),
    ]
    assert [record.unusable for record in records] == [None, None]


def test_agevoxceleb_has_an_age_for_a_clip(tmp_path: Path) -> None:
    media = ("id90001/v1/00001.m4a", "id90001/v1/00002.m4a", f"{JOHN}.m4a")
    make(tmp_path, enriched("id90001/v1", title_age="20.0"), media=media)
    write(tmp_path / "utt2age.train", "id90001/v1/00001 41\n\n")
    write(tmp_path / "agevoxceleb" / "utt2age.test", f"{JOHN} 70\nid90003/v9/00009 5\n")
    records = read(tmp_path, ages="agevoxceleb")
    assert [record.age_years for record in records] == [41.0, None, 70.0]
    assert [record.split for record in records] == [TRAIN_OR_DEV, TRAIN_OR_DEV, "test"]


def test_a_list_of_ages_in_another_form_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    write(tmp_path / "utt2age.train", "id90001/v1/00001 41\n<!DOCTYPE html> of an error\n")
    with pytest.raises(CorpusError, match=r"line 2 of .*utt2age\.train is not"):
        read(tmp_path, ages="agevoxceleb")
