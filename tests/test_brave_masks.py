"""An index of BRAVE-MASKS -> records of the clips of the chosen cameras."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from oragen.corpora.brave_masks import CARD, read_brave_masks
from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from tests.brave_masks_tree import MEDICAL, NO_MASK, SHIELD, make, read, write_media


def test_a_row_is_a_clip_of_one_camera(tmp_path: Path) -> None:
    assert read(tmp_path, MEDICAL) == [
        ClipRecord(
            stem="s01/m2/utt_004/c",
            speaker_id="s01",
            split="train",
            audio_path="s01/m2/utt_004.wav",
            video_path="s01/m2/c/utt_004.mp4",
            gender="female",
            age_years=27.0,
            mask_type="medical",
            camera="c",
        )
    ]


def test_the_picture_of_a_clip_is_used_only_without_a_video(tmp_path: Path) -> None:
    (record,) = read(tmp_path, MEDICAL.replace("s01/m2/c/utt_004.mp4", ""))
    assert record.video_path is None
    assert record.image_path == "s01/m2/c/utt_004__s001.jpg"


def test_the_centre_camera_is_taken_unless_others_are_asked_for(tmp_path: Path) -> None:
    make(tmp_path, MEDICAL, SHIELD)
    records = read_brave_masks("masks", tmp_path, table=Path("index.csv"))
    assert [record.camera for record in records] == ["c"]
    assert [record.camera for record in read(tmp_path, MEDICAL, SHIELD, cameras=["r"])] == ["r"]


def test_cameras_of_one_clip_share_its_sound_and_have_names_of_their_own(tmp_path: Path) -> None:
    lines = [MEDICAL.replace("/c/", f"/{name}/").replace(",c,", f",{name},") for name in "crl"]
    records = read(tmp_path, *lines, cameras=["c", "r", "l"])
    assert [record.stem for record in records] == [
        "s01/m2/utt_004/c",
        "s01/m2/utt_004/r",
        "s01/m2/utt_004/l",
    ]
    assert {record.audio_path for record in records} == {"s01/m2/utt_004.wav"}
    assert records[2].video_path == "s01/m2/l/utt_004.mp4"


@pytest.mark.parametrize(
    ("word", "mask_type"),
    [
        ("No mask", "none"),
        ("Tissue mask", "tissue"),
        ("Medical mask", "medical"),
        ("Protective mask (ffp2/ffp3)", "ffp"),
        ("Respirator", "respirator"),
        ("Protective face shield", "shield"),
    ],
)
def test_mask_types_are_the_names_of_the_published_code(
    tmp_path: Path, word: str, mask_type: str
) -> None:
    (record,) = read(tmp_path, MEDICAL.replace("Medical mask", word))
    assert (record.mask_type, record.unusable) == (mask_type, None)


@pytest.mark.parametrize("word", ["3", "4", "PM", "R", "Respirator (FFP2/FFP3)"])
def test_what_could_be_either_of_two_masks_is_not_guessed(tmp_path: Path, word: str) -> None:
    (record,) = read(tmp_path, MEDICAL.replace("Medical mask", word))
    assert (record.mask_type, record.unusable) == (None, f"unknown mask_type: {word}")


@pytest.mark.parametrize(
    ("word", "split"),
    [("train", "train"), ("Dev", "dev"), ("devel", "dev"), ("val", "dev"), ("test", "test")],
)
def test_subsets_are_normalised(tmp_path: Path, word: str, split: str) -> None:
    (record,) = read(tmp_path, MEDICAL.replace(",train", f",{word}"))
    assert record.split == split


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",c,", ",x,", "unknown channel: x"),
        (",c,", ",,", "no channel"),
        (",train", ",held out", "unknown subset: held out"),
        (",female,", ",f/m,", "unknown gender: f/m"),
        (",27,", ",27 weeks,", "age is no number: 27 weeks"),
        (
            ",s01,female,27,Medical mask,c,train",
            ",,female,27,Medical mask,c,",
            "neither speaker_id",
        ),
        ("female,27,Medical mask", ",,", "no label"),
        (",train", ",train,more", "more fields than columns"),
        (",27,Medical mask", ",x,3", "unknown mask_type: 3; age is no number: x"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (record,) = read(tmp_path, MEDICAL.replace(old, new))
    assert record.unusable
    assert record.unusable.startswith(reason)


@pytest.mark.parametrize("lost", ["female", "27", "Medical mask"])
def test_two_labels_of_three_are_enough(tmp_path: Path, lost: str) -> None:
    (record,) = read(tmp_path, MEDICAL.replace(f",{lost}", ","))
    assert record.unusable is None
    assert [record.gender, record.age_years, record.mask_type].count(None) == 1


def test_an_index_with_the_columns_of_the_published_code_alone_is_read(tmp_path: Path) -> None:
    header = "subset,mask_type,age,gender,image_file_path,audio_file_path"
    line = "test,Respirator,41,male,s22/utt_001__s001.jpg,s22/utt_001.wav"
    assert read(tmp_path, line, header=header) == [
        ClipRecord(
            stem="s22/utt_001/c",
            split="test",
            audio_path="s22/utt_001.wav",
            image_path="s22/utt_001__s001.jpg",
            gender="male",
            age_years=41.0,
            mask_type="respirator",
            camera="c",
        )
    ]


def test_a_row_that_names_no_file_is_still_recorded(tmp_path: Path) -> None:
    (record,) = read(tmp_path, ",,,s01,female,27,Medical mask,c,train")
    assert record.stem == "line 2/c"


def test_a_missing_index_is_named_with_its_columns(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"there is no index masks\.csv[\s\S]*audio_file_path,im"):
        list(read_brave_masks("masks", tmp_path, table=Path("masks.csv")))


@pytest.mark.parametrize("cameras", [[], ["centre"], ["c", "x"]])
def test_cameras_that_the_corpus_does_not_have_are_refused(
    tmp_path: Path, cameras: list[str]
) -> None:
    with pytest.raises(CorpusError, match="expected one or more of c, r, l"):
        read(tmp_path, MEDICAL, cameras=cameras)


def test_an_index_without_the_cameras_names_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="has no row of camera l; found 1 of c, 1 of r"):
        read(tmp_path, MEDICAL, SHIELD, cameras=["l"])


def test_a_speaker_in_two_subsets_is_refused_by_name(tmp_path: Path) -> None:
    other = MEDICAL.replace("utt_004", "utt_005").replace(",train", ",test")
    records = read(tmp_path, MEDICAL, other)
    write_media(tmp_path, records)
    with pytest.raises(CorpusError, match=r"two splits: s01 \(test\+train\)"):
        build_manifest("masks", tmp_path, records, tmp_path / "hashes")


def test_the_tree_becomes_a_table_of_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        MEDICAL,
        SHIELD,
        NO_MASK,
        SHIELD.replace("/r/", "/c/").replace(",r,", ",c,"),
        MEDICAL.replace("utt_004", "utt_005").replace("Medical mask", "4"),
        MEDICAL.replace("utt_004", "utt_006"),
    ]
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        records = read(tmp_path, *lines)
    write_media(tmp_path, records[:-1])
    manifest = build_manifest("masks", tmp_path, records, tmp_path / "hashes")
    clips = manifest.clips
    assert Counter(zip(clips["split"], clips["gender"], clips["mask_type"], strict=True)) == {
        ("train", "female", "medical"): 1,
        ("dev", "male", "shield"): 1,
        ("test", "male", "none"): 1,
    }
    assert sorted(clips["age_years"]) == [27.0, 41.0, 63.0]
    assert set(clips["camera"]) == {"c"}
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "masks/s01/m2/utt_005/c": "unknown mask_type: 4",
        "masks/s01/m2/utt_006/c": "no such file",
    }
    assert caplog.messages == ["masks: 5 rows; rows of other cameras: 1 of r"]


def test_the_published_hours_are_those_of_clips_of_five_seconds() -> None:
    statistics = CARD.statistics
    assert statistics
    assert statistics.clips
    assert statistics.hours == round(statistics.clips * 5.0 / 3600)
