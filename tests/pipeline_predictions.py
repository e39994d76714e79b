"""The pipeline's predictions of clips, compared with those of a predictor on their files."""

from pathlib import Path

import pandas as pd
import pytest

from oragen.predictor import Prediction, Predictor
from oragen.schema.quality import MEASURES
from oragen.schema.tables import CLIPS
from oragen.schema.vocabulary import GENDERS, MASK_TYPES
from tests.project import Project

HEAD = "cross_attention"


def read_predictions(project: Project, corpus: str) -> pd.DataFrame:
    """Read the predictions of seed 0 on all modalities, by clip, with the path of the file."""
    table = pd.read_parquet(project.folder / f"data/predictions/{HEAD}.parquet")
    chosen = (table["seed"] == 0) & (table["modalities"] == "audio_visual")
    rows = table[chosen & (table["corpus"] == corpus)].set_index("clip_id")
    clips = CLIPS.read(project.folder / f"data/clips/{corpus}.parquet").set_index("clip_id")
    paths = clips["video_path"].fillna(clips["image_path"]).fillna(clips["audio_path"])
    return rows.join(paths.rename("path"))


def predict(project: Project, corpus: str, rows: pd.DataFrame) -> list[Prediction]:
    """Predict on the files of these clips, in their order."""
    predictor = Predictor.from_pretrained(project.folder / "data" / "heads" / HEAD / "seed-0")
    root = project.folder / "data" / "corpora" / corpus
    return list(predictor.predict_files(root / path for path in rows["path"]))


def assert_same(predictions: list[Prediction], rows: pd.DataFrame) -> None:
    """Compare all values of both; probabilities to 1e-5."""
    for prediction, (clip, row) in zip(predictions, rows.iterrows(), strict=True):
        assert len(prediction.windows) == row["num_windows"], clip
        assert Path(prediction.input).name == Path(row["path"]).name
        measured = dict(
            zip(MEASURES, (*prediction.sound_quality, *prediction.face_quality), strict=True)
        )
        expected = {name: None if pd.isna(row[name]) else row[name] for name in MEASURES}
        assert measured == pytest.approx(expected), clip
        if row["num_windows"] == 0:
            assert not prediction.is_predicted, clip
            assert prediction.reasons, clip
            continue
        assert prediction.gender is not None
        assert prediction.age is not None
        assert prediction.mask_type is not None
        assert prediction.gender.label == row["predicted_gender"], clip
        assert prediction.mask_type.label == row["predicted_mask_type"], clip
        for task, labels in {"gender": GENDERS, "mask_type": MASK_TYPES}.items():
            shares = {label: row[f"{task}_{label}"] for label in labels}
            probabilities = getattr(prediction, task).probabilities
            assert probabilities == pytest.approx(shares, abs=1e-5), clip
        assert prediction.age.value == pytest.approx(row["predicted_age_years"], abs=1e-3), clip
        assert prediction.unfamiliarity == (
            None if pd.isna(row["unfamiliarity"]) else pytest.approx(row["unfamiliarity"], rel=1e-4)
        ), clip
        assert_same_interval(prediction, row)
        for task in ("gender", "mask_type"):
            named = row[f"set_of_{task}"]
            expected_set = None if pd.isna(named) else tuple(named.split(", "))
            assert getattr(prediction, task).label_set == expected_set, clip


def assert_same_interval(prediction: Prediction, row: pd.Series) -> None:
    """Compare the interval of the condition and that of one width for all."""
    age, value = prediction.age, row["predicted_age_years"]
    assert age is not None
    condition = row["age_condition"]
    assert age.condition == (None if pd.isna(condition) else condition)
    widths = row["age_half_width_years"], row["age_conditional_half_width_years"]
    if pd.isna(widths[1]):  # the model knows no conditions, or the clip is unfamiliar
        widths = widths[0], widths[0]
    for interval, half_width in zip((age.fixed_interval, age.interval), widths, strict=True):
        if pd.isna(half_width):
            assert interval is None
        else:
            expected = (max(0.0, value - half_width), value + half_width)
            assert interval == pytest.approx(expected, abs=1e-3)
