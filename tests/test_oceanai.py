"""Predictions beside the result frames of OCEAN-AI."""

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from oragen.cli.oceanai import to_oceanai
from oragen.detection.quality import FaceQuality, SoundQuality
from oragen.predictor import AgePrediction, ClassPrediction, ModalityReport, Prediction
from oragen.predictor.oceanai import OceanAiError, has_folders, merge, read_predictions, to_frame

TRAITS = ("Openness", "Conscientiousness", "Extraversion", "Agreeableness", "Non-Neuroticism")
OURS = ["Path", "Age", "Gender", "Gender score", "Mask"]
app = typer.Typer()
app.command()(to_oceanai)


def predict(
    path: str, gender: str | None = "male", age: float = 41.25, mask: str | None = "medical"
) -> dict[str, Any]:
    """What a predictor writes about a clip; without a gender it had nothing to predict from."""
    male = 0.75 if gender == "male" else 0.25
    is_predicted = gender is not None
    prediction = Prediction(
        input=path,
        gender=ClassPrediction(gender, {"female": 1 - male, "male": male}) if gender else None,
        age=AgePrediction(age, None) if is_predicted else None,
        mask_type=ClassPrediction(mask, {"none": 0.0, mask: 1.0})
        if is_predicted and mask
        else None,
        windows=[],
        modalities={"audio": ModalityReport(is_predicted, None if is_predicted else "no speech")},
        speech=[],
        faces=[],
        length_s=4.0,
        sound_quality=SoundQuality(),
        face_quality=FaceQuality(),
        notes=[],
        model={},
        training_data=None,
        unfamiliarity=None,
        warnings=[],
    )
    return prediction.to_dict()


def score(*paths: str) -> pd.DataFrame:
    """A frame as `b5.df_files_` is one: row i has the scores i + 0.1 j."""
    rows = [[path, *(row + 0.1 * trait for trait in range(5))] for row, path in enumerate(paths)]
    person_ids = pd.Index([str(row + 1) for row in range(len(paths))], name="Person ID")
    return pd.DataFrame(rows, columns=["Path", *TRAITS], index=person_ids)


def test_a_frame_has_the_columns_and_the_index_of_the_contract() -> None:
    frame = to_frame([predict("data/clips/a.mp4"), predict("b.mp4", "female", 20.0, "none")])
    assert frame.index.name == "Person ID"
    assert list(frame.index) == ["1", "2"]
    assert list(frame.columns) == OURS
    assert frame.loc["1"].tolist() == ["a.mp4", 41.25, "male", 0.75, "medical"]
    assert frame.loc["2"].tolist() == ["b.mp4", 20.0, "female", 0.75, "none"]


def test_a_clip_without_a_prediction_keeps_its_row_and_says_nothing() -> None:
    frame = to_frame([predict("a.mp4", None), predict("b.mp4")])
    assert frame.loc["1", "Path"] == "a.mp4"
    assert frame.loc["1", OURS[1:]].isna().all()
    assert frame.loc["2", "Gender"] == "male"


def test_no_predictions_give_a_frame_without_rows() -> None:
    assert list(to_frame([]).columns) == OURS
    assert to_frame([]).empty


def test_a_model_that_tells_no_mask_leaves_it_empty() -> None:
    frame = to_frame([predict("a.mp4", mask=None)])
    assert frame.loc["1", "Gender"] == "male"
    assert pd.isna(frame.loc["1", "Mask"])


def test_our_columns_come_after_theirs_and_nothing_of_theirs_changes() -> None:
    theirs = score("c.mp4", "a.mp4", "b.mp4")
    before = theirs.copy(deep=True)
    ours = to_frame([predict("x/a.mp4", age=1.0), predict("x/b.mp4", None), predict("x/c.mp4")])
    merged = merge(theirs, ours)
    pd.testing.assert_frame_equal(theirs, before)
    pd.testing.assert_frame_equal(merged[list(theirs.columns)], before)
    assert list(merged.columns) == ["Path", *TRAITS, *OURS[1:]]
    assert merged["Age"].tolist()[:2] == [41.25, 1.0]  # c, then a
    assert merged.loc["3", OURS[1:]].isna().all()  # b had nothing to predict from


def test_the_practical_tasks_still_take_what_theirs_was() -> None:
    merged = merge(score("a.mp4"), to_frame([predict("a.mp4")]))
    assert merged.iloc[0].values[1:].shape == (9,)  # their reshape(5, 1) would fail on this
    assert merged[["Path", *TRAITS]].iloc[0].values[1:].reshape(5, 1).shape == (5, 1)


def test_a_row_that_we_know_nothing_of_stays_and_is_empty() -> None:
    merged = merge(score("a.mp4", "z.mp4"), to_frame([predict("a.mp4"), predict("not-theirs.mp4")]))
    assert merged["Path"].tolist() == ["a.mp4", "z.mp4"]
    assert merged.loc["2", OURS[1:]].isna().all()


def test_clips_of_the_same_name_are_refused_by_name() -> None:
    ours = to_frame([predict("one/a.mp4"), predict("two/a.mp4")])
    with pytest.raises(OceanAiError, match=r"a\.mp4 listed twice in the predictions"):
        merge(score("a.mp4"), ours)
    with pytest.raises(OceanAiError, match="listed twice in the table of OCEAN-AI"):
        merge(score("a.mp4", "a.mp4"), to_frame([predict("a.mp4")]))


def test_folders_in_both_tell_clips_of_the_same_name_apart() -> None:
    theirs = score("two/a.mp4", "one\\a.mp4")
    assert has_folders(theirs)
    clips = [predict("one/a.mp4", age=1.0), predict("two/a.mp4", age=2.0)]
    assert merge(theirs, to_frame(clips, with_folders=True))["Age"].tolist() == [2.0, 1.0]


def test_frames_that_do_not_fit_are_refused() -> None:
    ours = to_frame([predict("a.mp4")])
    with pytest.raises(OceanAiError, match="no column 'Path'"):
        merge(pd.DataFrame({"File": ["a.mp4"]}), ours)
    with pytest.raises(OceanAiError, match="already"):
        merge(merge(score("a.mp4"), ours), ours)
    with pytest.raises(OceanAiError, match="is no prediction"):
        to_frame([{"clip": "a.mp4"}])


@pytest.mark.parametrize("kind", ["one", "list", "lines"])
def test_files_of_predictions_are_read_in_every_form(tmp_path: Path, kind: str) -> None:
    clips = [predict("a.mp4")] if kind == "one" else [predict("a.mp4"), predict("b.mp4", None)]
    texts: Mapping[str, str] = {
        "one": json.dumps(clips[0], indent=2),
        "list": json.dumps(clips),
        "lines": "".join(f"{json.dumps(clip)}\n" for clip in clips),
    }
    file = tmp_path / "predictions.json"
    file.write_text(texts[kind])
    assert read_predictions(file) == clips


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not JSON")
    with pytest.raises(OceanAiError, match="neither JSON nor JSON lines"):
        read_predictions(file)
    with pytest.raises(OceanAiError, match="cannot be read"):
        read_predictions(tmp_path / "absent.json")


def test_the_command_leaves_every_digit_of_theirs(tmp_path: Path) -> None:
    theirs = "Person ID,Path,Openness\n1,b.mp4,0.10000000149011612\n02,a.mp4,0.5\n"
    (tmp_path / "theirs.csv").write_text(theirs)
    (tmp_path / "ours.json").write_text(json.dumps([predict("x/a.mp4"), predict("x/b.mp4", None)]))
    arguments = ["ours.json", "--merge", "theirs.csv", "--output", "merged.csv"]
    run = CliRunner().invoke(
        app, [f"{tmp_path}/{word}" if "." in word else word for word in arguments]
    )
    assert run.exit_code == 0, run.output
    assert "2 clips, 1 with predictions" in run.output
    assert (tmp_path / "merged.csv").read_text() == (
        "Person ID,Path,Openness,Age,Gender,Gender score,Mask\n"
        "1,b.mp4,0.10000000149011612,,,,\n"
        "02,a.mp4,0.5,41.25,male,0.75,medical\n"
    )


def test_the_command_shows_the_frame_where_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text(json.dumps(predict("x/a.mp4")))
    run = CliRunner().invoke(app, [f"{tmp_path}/ours.json"])
    assert pd.read_csv(StringIO(run.output))["Gender"].tolist() == ["male"]


def test_no_cell_number_or_column_is_a_formula(tmp_path: Path) -> None:
    (tmp_path / "theirs.csv").write_text("Person ID,Path,=1+1\n=2+2,a.mp4,=3+3\n")
    (tmp_path / "ours.json").write_text(json.dumps(predict("a.mp4")))
    run = CliRunner().invoke(app, [f"{tmp_path}/ours.json", "--merge", f"{tmp_path}/theirs.csv"])
    assert run.output == (
        "Person ID,Path,'=1+1,Age,Gender,Gender score,Mask\n"
        "'=2+2,a.mp4,'=3+3,41.25,male,0.75,medical\n"
    )
