"""VoxCeleb2's tree and the tables of ages -> a record for each clip."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.corpora.voxceleb2 import read_voxceleb2
from oragen.schema.choices.corpora import AgeSource, Tracks
from tests.voxceleb2_tree import JANE, JOHN, META, enriched, make, read, write

# The media


def test_a_clip_joins_the_sound_of_one_tree_and_the_pictures_of_another(tmp_path: Path) -> None:
    media = (f"dev/aac/{JANE}.m4a", f"dev/mp4/{JANE}.mp4")
    assert read(make(tmp_path, enriched(JANE, title_age="34.0"), media=media)) == [
        ClipRecord(
            stem=JANE,
            speaker_id="id90001",
            split=TRAIN_OR_DEV,
            audio_path=f"dev/aac/{JANE}.m4a",
            video_path=f"dev/mp4/{JANE}.mp4",
            gender="female",
            age_years=34.0,
        )
    ]


@pytest.mark.parametrize(
    "folder", ["dev/aac/", "dev/", "aac/", "", "wav/", "dev/wav/", "vox2_dev_aac/dev/aac/"]
)
@pytest.mark.parametrize("suffix", [".m4a", ".wav", ".M4A"])
def test_levels_above_the_speakers_may_be_left_out(
    tmp_path: Path, folder: str, suffix: str
) -> None:
    path = f"{folder}{JANE}{suffix}"
    (record,) = read(make(tmp_path, media=(path,)))
    assert (record.stem, record.audio_path, record.video_path) == (JANE, path, None)


def test_sound_and_pictures_may_lie_in_one_folder(tmp_path: Path) -> None:
    (record,) = read(make(tmp_path, media=(f"{JANE}.m4a", f"{JANE}.mp4")))
    assert (record.audio_path, record.video_path) == (f"{JANE}.m4a", f"{JANE}.mp4")


def test_published_sound_comes_before_what_was_made_of_it(tmp_path: Path) -> None:
    media = (f"dev/wav/{JANE}.wav", f"dev/aac/{JANE}.m4a")
    (record,) = read(make(tmp_path, media=media))
    assert record.audio_path == f"dev/aac/{JANE}.m4a"


@pytest.mark.parametrize(
    ("suffixes", "tracks", "expected"),
    [
        ("m4a mp4", "both", ("m4a", "mp4")),
        ("m4a mp4", "audio", ("m4a", None)),
        ("m4a mp4", "video", (None, "mp4")),
        ("mp4", "both", (None, "mp4")),
        ("mp4", "audio", ("mp4", None)),
        ("mp4", "video", (None, "mp4")),
        ("m4a", "both", ("m4a", None)),
        ("m4a", "audio", ("m4a", None)),
    ],
)
def test_the_tracks_asked_for_are_taken_where_they_are(
    tmp_path: Path, suffixes: str, tracks: Tracks, expected: tuple[str | None, str | None]
) -> None:
    media = [f"{JANE}.{suffix}" for suffix in suffixes.split()]
    (record,) = read(make(tmp_path, media=media), tracks=tracks)
    assert (record.audio_path, record.video_path) == tuple(
        suffix and f"{JANE}.{suffix}" for suffix in expected
    )


def test_a_clip_without_the_track_asked_for_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, media=(f"{JANE}.m4a", f"{JOHN}.mp4"))
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        (record,) = read(tmp_path, tracks="video")
    assert record.stem == JOHN
    assert "1 without the track" in caplog.text


def test_clips_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    names = [JOHN, "id90001/b/00002", "id90001/b/00001", "id90001/a/00003"]
    records = read(make(tmp_path, media=[f"dev/aac/{name}.m4a" for name in names]))
    assert [record.stem for record in records] == sorted(names)


def test_other_folders_and_files_are_no_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    media = [f"{JANE}.m4a", f"{JANE}.txt", f"dev/txt/{JOHN}.m4a", "dev/aac/README/a/b.m4a"]
    media += ["id90001/AbCdEfGhIjK/._00001.m4a", "id90001/AbCdEfGhIjK/.m4a"]
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        (record,) = read(make(tmp_path, media=media))
    assert record.stem == JANE
    assert "1 other files" in caplog.text


# The speakers


TAB_META = (
    "Name \tVoxCeleb2 ID \tVGGFace2 ID \tGender \tSet \n"
    "Jane_Doe \tid90001 \tn900001 \tf \tdev \nJohn_Roe \tid90002 \tn900002 \tm \ttest \n"
)


@pytest.mark.parametrize("meta", [META, TAB_META, META.replace(" ,", ",").replace(" \n", "\n")])
def test_both_forms_of_the_table_of_speakers_are_read(tmp_path: Path, meta: str) -> None:
    media = (f"dev/aac/{JANE}.m4a", f"test/aac/{JOHN}.m4a")
    jane, john = read(make(tmp_path, meta=meta, media=media))
    assert (jane.gender, jane.split) == ("female", TRAIN_OR_DEV)
    assert (john.gender, john.split) == ("male", "test")


def test_the_official_set_decides_and_not_the_folder(tmp_path: Path) -> None:
    (record,) = read(make(tmp_path, media=(f"dev/aac/{JOHN}.m4a",)))
    assert record.split == "test"


def test_a_speaker_who_is_not_in_the_table_is_unusable(tmp_path: Path) -> None:
    (record,) = read(make(tmp_path, media=("dev/aac/id00012/a/00001.m4a",)))
    assert record.unusable == "speaker not in vox2_meta.csv: id00012"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("id90001,n1,x,dev", "unknown gender: x"),
        ("id90001,n1,f,train", "unknown set: train"),
        ("id90001,n1,f,", "no set"),
        ("id90001,n1,x,val", "unknown set: val; unknown gender: x"),
    ],
)
def test_unknown_words_make_a_speakers_clips_unusable(
    tmp_path: Path, line: str, reason: str
) -> None:
    meta = f"VoxCeleb2 ID,VGGFace2 ID,Gender,Set\n{line}\n"
    (record,) = read(make(tmp_path, meta=meta))
    assert record.unusable == reason


def test_the_corpus_gender_wins_and_the_disagreement_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [enriched(JANE, gender="male"), enriched("id90001/other", gender="male")]
    rows += [enriched(JOHN, gender="male")]
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        (record,) = read(make(tmp_path, *rows))
    assert record.gender == "female"
    assert "1 speakers of another gender in the enrichment" in caplog.text


@pytest.mark.parametrize(
    ("word", "gender"), [("female", "female"), ("transgender female", None), ("", None)]
)
def test_the_gender_of_the_enrichment_serves_where_the_corpus_has_none(
    tmp_path: Path, word: str, gender: str | None
) -> None:
    meta = "VoxCeleb2 ID,VGGFace2 ID,Gender,Set\nid90001,n1,,dev\n"
    row = enriched(JANE, gender=word, title_age="34.0")
    (record,) = read(make(tmp_path, row, meta=meta))
    assert (record.gender, record.age_years, record.unusable) == (gender, 34.0, None)


def test_voxceleb1_is_passed_over_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [enriched(f"id1000{digit}/a", title_age="50.0") for digit in "123"]
    media = (f"{JANE}.m4a", "dev/aac/id10001/a/00001.m4a", "wav/id10001/a/00001.wav")
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        assert [record.stem for record in read(make(tmp_path, *rows, media=media))] == [JANE]
    assert "3 rows of VoxCeleb1" in caplog.text
    assert "1 speakers of VoxCeleb1" in caplog.text
    assert "0 ages without media" in caplog.text


# Excluded and missing clips


@pytest.mark.parametrize(
    "name", ["lQxVumsa0QE/00053", "x9K8-IfuOMg/00490", "x9K8-IfuOMg/00491", "StiTPpXXhe0/00079"]
)
def test_the_clips_that_the_published_code_passes_over_are_left_out(
    tmp_path: Path, name: str
) -> None:
    neighbour = f"id90001/{name[:-2]}99"
    excluded, kept = read(make(tmp_path, media=(f"id90001/{name}.m4a", f"{neighbour}.m4a")))
    assert excluded.unusable == f"excluded by the published experiments: {name}"
    assert (kept.stem, kept.unusable) == (neighbour, None)


@pytest.mark.parametrize(
    "folder", ["meta", "metadata", "voxceleb_enrichment_age_gender/dataset", "agevoxceleb"]
)
def test_tables_may_lie_in_a_folder(tmp_path: Path, folder: str) -> None:
    make(tmp_path, enriched(JANE, title_age="34.0"))
    (tmp_path / folder).mkdir(parents=True)
    for name in ("vox2_meta.csv", "final_dataframe_extended.csv"):
        (tmp_path / name).rename(tmp_path / folder / name)
    (record,) = read(tmp_path)
    assert (record.gender, record.age_years) == ("female", 34.0)


@pytest.mark.parametrize(
    ("lost", "ages"),
    [
        ("vox2_meta.csv", "enrichment"),
        ("final_dataframe_extended.csv", "enrichment"),
        ("utt2age.test", "agevoxceleb"),
    ],
)
def test_a_missing_table_is_named(tmp_path: Path, lost: str, ages: AgeSource) -> None:
    make(tmp_path)
    write(tmp_path / "utt2age.train", f"{JANE} 41\n")
    (tmp_path / lost).unlink(missing_ok=True)
    with pytest.raises(
        CorpusError, match=f"no readable copy of VoxCeleb2: there is no table {lost}"
    ):
        read(tmp_path, ages=ages)


def test_a_tree_without_media_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no clip with a track"):
        read(make(tmp_path, media=()))
    with pytest.raises(CorpusError, match="there is no clip with pictures"):
        read(make(tmp_path), tracks="video")


def test_a_column_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="lacks the column age_of_speaker"):
        read(make(tmp_path), age_column="age_of_speaker")


def test_the_tree_becomes_a_table_of_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        enriched(JANE, gender="female", title_age="34.0"),
        enriched(JOHN, gender="male", title_age="59.0"),
        enriched("id90003/QqQqQqQqQqQ", gender="female", title_age="150.0"),
        enriched("id90003/lost", title_age="44.0"),
        enriched("id10001/a", title_age="50.0"),
    ]
    media = [f"dev/{track}/{JANE}.{suffix}" for track, suffix in (("aac", "m4a"), ("mp4", "mp4"))]
    media += [f"dev/aac/{JANE[:-1]}2.m4a", f"test/mp4/{JOHN}.mp4"]
    media += ["dev/aac/id90003/QqQqQqQqQqQ/00001.m4a", "dev/aac/id90003/StiTPpXXhe0/00079.m4a"]
    make(tmp_path, *rows, media=media)
    records = read_voxceleb2("vox", tmp_path, ages="enrichment", tracks="both")
    with caplog.at_level(logging.INFO, "oragen.corpora"):
        manifest = build_manifest("vox", tmp_path, records, tmp_path / "hashes")
    clips = manifest.clips.set_index("clip_id")
    assert clips["gender"].to_dict() == {
        f"vox/{JANE}": "female",
        f"vox/{JANE[:-1]}2": "female",
        f"vox/{JOHN}": "male",
    }
    assert clips["age_years"].to_dict() == {
        f"vox/{JANE}": 34.0,
        f"vox/{JANE[:-1]}2": 34.0,
        f"vox/{JOHN}": 59.0,
    }
    assert Counter(clips["split"].replace({"train": "train or dev", "dev": "train or dev"})) == {
        "train or dev": 2,
        "test": 1,
    }
    assert clips["audio_hash"].isna().sum() == clips["picture_hash"].isna().sum() == 1
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "vox/id90003/QqQqQqQqQqQ/00001": "age outside 0..120: 150",
        "vox/id90003/StiTPpXXhe0/00079": (
            "excluded by the published experiments: StiTPpXXhe0/00079"
        ),
    }
    assert caplog.messages == [
        "vox: 1 rows of VoxCeleb1, 1 speakers of another gender in the enrichment, 5 clips, "
        "1 ages without media"
    ]
