"""Clips of AFEW and their labels, from a table or from XML files -> records."""

from pathlib import Path

import pytest

from oragen.corpora.afew import CARD, read_afew
from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.media.audio import decode_audio
from oragen.media.video import sample_pictures
from tests.afew_tree import CLIPS, LABELS, plant, touch
from tests.media_files import tone, write_fade


def read(root: Path) -> list[ClipRecord]:
    return list(read_afew("afew", root))


def reasons(root: Path) -> dict[str, str | None]:
    return {record.stem: record.unusable for record in read(root)}


# Labels from a table


def test_a_clip_has_the_labels_of_its_line_and_val_is_the_test(tmp_path: Path) -> None:
    (tmp_path / "Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000111222").mkdir(parents=True)
    touch(tmp_path / "Test_vid_Distribute/000555666.avi")  # has no label
    assert read(plant(tmp_path)) == [
        ClipRecord(
            "Train_AFEW/Happy/000111222",
            split=TRAIN_OR_DEV,
            audio_path=CLIPS[0],
            video_path=CLIPS[0],
            gender="female",
            age_years=31.0,
        ),
        ClipRecord(
            "Val_AFEW/Sad/000333444",
            split="test",
            audio_path=CLIPS[1],
            video_path=CLIPS[1],
            gender="male",
            age_years=58.0,
        ),
    ]


@pytest.mark.parametrize(
    ("word", "gender"),
    [("f", "female"), ("F", "female"), ("Female", "female"), ("m", "male"), ("M", "male"),
     ("Male", "male"), ("", None)],
)  # fmt: skip
def test_genders_may_be_words_or_letters(tmp_path: Path, word: str, gender: str | None) -> None:
    record = read(plant(tmp_path, table=f"clip_id,gender,age\n000111222,{word},31\n"))[0]
    assert (record.gender, record.age_years, record.unusable) == (gender, 31.0, None)


def test_the_columns_of_the_table_may_have_other_names(tmp_path: Path) -> None:
    plant(tmp_path, table=None)
    (tmp_path / "mine.tsv").write_text("Video\tActor\tSex\tYears\n000111222\tAnn\tf\t30,5\n")
    columns = {"clip": "video", "speaker_id": "Actor", "gender": "SEX", "age_years": "years"}
    record = next(read_afew("afew", tmp_path, table=Path("mine.tsv"), columns=columns))
    assert (record.speaker_id, record.gender, record.age_years) == ("Ann", "female", 30.5)


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"clip": "clip"}, r"maps clip to 'clip', which is no column of .* mean 'clip_id'\?"),
        ({"age_years": "ages"}, r"maps age_years to 'ages', .* \(did you mean 'age'\?\)"),
        ({"genders": "gender"}, r"afew\.columns names 'genders' \(did you mean 'gender'\?\)"),
    ],
)
def test_a_map_to_a_column_that_is_not_there_is_refused(
    tmp_path: Path, columns: dict[str, str], complaint: str
) -> None:
    with pytest.raises(CorpusError, match=complaint):
        list(read_afew("afew", plant(tmp_path), columns=columns))


def test_a_table_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="maps clip to 'clip_id', which is no column"):
        read(plant(tmp_path, table="gender,age\nf,31\n"))


@pytest.mark.parametrize(
    "name", ["111222", "000111222.avi", "Train_AFEW/Happy/000111222.avi", "Happy\\000111222.avi"]
)
def test_a_clip_may_be_named_by_its_file_or_a_spreadsheet(tmp_path: Path, name: str) -> None:
    record = read(plant(tmp_path, table=f"clip_id,gender,age\n{name},f,31\n"))[0]
    assert (record.age_years, record.unusable) == (31.0, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("000111222,val,Happy,F,31", "its label is of another folder: dev Happy"),
        ("000111222,train,Sad,F,31", "its label is of another folder: train Sad"),
        ("000111222,holdout,Happy,F,31", "its label is of another folder: holdout Happy"),
        ("000111222,train,Happy,woman,31", "unknown gender: woman"),
        ("000111222,train,Happy,F,old", "age is no number: old"),
        ("000111222,train,Happy,F,31,5", "more fields than columns"),
        ("000111222,train,Happy,,", "no label"),
        ("000111222,,,F,31\n000111222,,,F,32", "labelled twice: 000111222"),
        ("000999999,train,Happy,F,31", "no line or file with its label: 000111222"),
    ],
)
def test_a_clip_without_one_clear_label_is_recorded(tmp_path: Path, line: str, reason: str) -> None:
    table = f"clip_id,split,emotion,gender,age\n{line}\n"
    assert reasons(plant(tmp_path, table=table))["Train_AFEW/Happy/000111222"] == reason


def test_a_label_without_a_clip_is_recorded(tmp_path: Path) -> None:
    found = reasons(plant(tmp_path, table=f"{LABELS}000999999,val,Sad,f,20\n,val,Sad,f,20\n"))
    assert found == {
        "Train_AFEW/Happy/000111222": None,
        "Val_AFEW/Sad/000333444": None,
        "000999999": "no clip of this label: 000999999",
        "line 5": "no clip of this label: line 5",
    }


def test_split_and_emotion_tell_clips_of_one_name_apart(tmp_path: Path) -> None:
    touch(tmp_path / "Val_AFEW/Happy/000111222.avi")
    touch(tmp_path / "Train_AFEW/Angry/000111222.avi")
    more = "000111222,Devel,happy,m,40\n000111222,train,ANGRY,m,50\n"
    assert {
        record.stem: record.age_years for record in read(plant(tmp_path, table=LABELS + more))
    } == {
        "Train_AFEW/Happy/000111222": 31.0,
        "Train_AFEW/Angry/000111222": 50.0,
        "Val_AFEW/Happy/000111222": 40.0,
        "Val_AFEW/Sad/000333444": 58.0,
    }


def test_a_line_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    table = LABELS + "".join(LABELS.splitlines(keepends=True)[1:])
    assert set(reasons(plant(tmp_path, table=table)).values()) == {None}


# Labels from XML files


HAPPY_XML = "Train_AFEW/Happy/000111222.xml"


def read_xml(root: Path, content: str | bytes) -> ClipRecord:
    return read(plant(root, table=None, xml={HAPPY_XML: content}))[0]


@pytest.mark.parametrize(
    "content",
    [
        "<Clip><Name>Ann</Name><Gender>F</Gender><AgeOfActor>31</AgeOfActor></Clip>",
        "<c><p><name> Ann </name><GENDER>\nF\n</GENDER><age_of_actor>31</age_of_actor></p></c>",
        '<clip><person name="Ann" gender="f" age-of-actor="31"/></clip>',
        '<c xmlns="urn:x"><Name>Ann</Name><Gender>F</Gender><AgeOfActor>31</AgeOfActor></c>',
        '<?xml version="1.0" encoding="UTF-16"?><c Name="Ann" Gender="F" AgeOfActor="31"/>'.encode(
            "utf-16"
        ),
        "<c><Name>Ann</Name><Name/><Gender>F</Gender><Gender>F</Gender><AgeOfActor>31</AgeOfActor>"
        "<AgeOfCharacter>20</AgeOfCharacter></c>",
    ],
    ids=["elements", "case", "attributes", "namespace", "utf-16", "said twice"],
)
def test_xml_beside_a_clip_is_read_whatever_its_form(tmp_path: Path, content: str | bytes) -> None:
    record = read_xml(tmp_path, content)
    assert (record.speaker_id, record.gender, record.age_years) == ("Ann", "female", 31.0)
    assert record.unusable is None


def test_the_tags_may_have_other_names(tmp_path: Path) -> None:
    content = "<c><sex>m</sex><AgeOfCharacter>20</AgeOfCharacter><AgeOfActor>31</AgeOfActor></c>"
    plant(tmp_path, table=None, xml={HAPPY_XML: content})
    tags = {"gender": "sex", "age_years": "ageOfCharacter"}
    record = next(read_afew("afew", tmp_path, xml_tags=tags))
    assert (record.gender, record.age_years) == ("male", 20.0)


def test_an_unknown_tag_of_ours_is_refused(tmp_path: Path) -> None:
    plant(tmp_path, table=None, xml={HAPPY_XML: "<c/>"})
    with pytest.raises(
        CorpusError, match=r"afew\.xml_tags names 'age', expected any of speaker_id"
    ):
        list(read_afew("afew", tmp_path, xml_tags={"age": "Age"}))


ENTITIES = '<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><c Gender="F">&b;</c>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ENTITIES, "XML with a DOCTYPE"),
        (('<?xml version="1.0" encoding="UTF-16"?>' + ENTITIES).encode("utf-16"), "XML with a DOC"),
        ('<!DOCTYPE c SYSTEM "file:///etc/hostname"><c/>', "XML with a DOCTYPE"),
        ("<c><Gender>F</c>", "XML that cannot be read: mismatched tag"),
        ("", "XML that cannot be read: no element found"),
        ("\x00", "XML that cannot be read: "),
        ('<?xml version="1.0" encoding="nonsense"?><c/>', "XML that cannot be read: "),
        (f"<c>{' ' * 1_000_000}</c>", "XML that cannot be read: 1000007 bytes are too many"),
        (
            "<c><p Gender='F'/><p Gender='M'/></c>",
            "XML that cannot be read: several values of Gender: F, M",
        ),
        ("<c><Gender>F</Gender><AgeOfActor>old</AgeOfActor></c>", "age is no number: old"),
        ("<c/>", "no label"),
    ],
    ids=["entities", "entities in UTF-16", "another file", "broken", "empty", "junk", "encoding",
         "large", "two people", "no number", "no label"],
)  # fmt: skip
def test_xml_that_is_not_to_be_trusted_is_recorded(
    tmp_path: Path, content: str | bytes, reason: str
) -> None:
    assert str(read_xml(tmp_path, content).unusable).startswith(reason)


def test_xml_is_of_the_clip_beside_it(tmp_path: Path) -> None:
    xml = {HAPPY_XML: "<c Gender='F'/>", "Val_AFEW/Happy/000333444.xml": "<c Gender='M'/>"}
    assert reasons(plant(tmp_path, table=None, xml=xml)) == {
        "Train_AFEW/Happy/000111222": None,
        "Val_AFEW/Sad/000333444": "its label is of another folder: dev Happy",
        "000333444": "no clip of this label: 000333444",
    }


def test_the_table_goes_before_the_xml(tmp_path: Path) -> None:
    assert read(plant(tmp_path, xml={HAPPY_XML: "<c Gender='M'/>"}))[0].gender == "female"


# Where the clips lie


def test_clips_without_any_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"neither a table of labels afew_age_gender\.csv nor any \.xml file"
    ):
        read(plant(tmp_path, table=None))


@pytest.mark.parametrize("missing", ["Train_AFEW", "Val_AFEW"])
def test_half_a_tree_is_refused_with_what_is_expected(tmp_path: Path, missing: str) -> None:
    (plant(tmp_path) / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(CorpusError, match=f"(?s)there is no folder {missing}.*Val_AFEW/<Emotion>"):
        read(tmp_path)


# The whole


def test_a_copy_is_listed_whole_and_its_films_are_decoded(tmp_path: Path) -> None:
    root = plant(tmp_path / "root", table=LABELS + "000999999,val,Sad,f,20\n")
    touch(root / "Val_AFEW/Fear/000777888.avi")
    for path in CLIPS:
        write_fade(root / path, 1.6, codec="mpeg4", sound=tone(1.6))
    manifest = build_manifest("afew", root, read(root), tmp_path / "hashes.parquet")
    clips = manifest.clips.set_index("clip_id")
    first, second = "afew/Train_AFEW/Happy/000111222", "afew/Val_AFEW/Sad/000333444"
    assert clips["gender"].to_dict() == {first: "female", second: "male"}
    assert clips["age_years"].to_dict() == {first: 31.0, second: 58.0}
    assert clips["split"].eq("test").to_dict() == {first: False, second: True}
    assert {item.clip_id: item.reason for item in manifest.skipped} == {
        "afew/Val_AFEW/Fear/000777888": "no line or file with its label: 000777888",
        "afew/000999999": "no clip of this label: 000999999",
    }
    assert clips["audio_path"].tolist() == clips["video_path"].tolist()
    path = root / clips.loc[first, "audio_path"]
    assert len(decode_audio(path, max_duration_s=10.0)) == pytest.approx(25_600, abs=2_048)
    pictures = list(sample_pictures(path, max_duration_s=10.0))
    assert [picture.sample for picture in pictures] == [0, 16_000]
    assert [picture.rgb.mean() for picture in pictures] == pytest.approx([20, 70], abs=4)


def test_the_published_statistics_count_the_clips_of_train_and_val() -> None:
    assert CARD.statistics is not None
    assert CARD.statistics.counted == "clips"
    assert sum(CARD.statistics.by_gender.values()) == CARD.statistics.clips == 773 + 383
