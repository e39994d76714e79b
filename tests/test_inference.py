"""Windows -> predictions of clips -> scores, with numbers worked out by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.features.dataset import WindowDataset
from oragen.features.loading import load_dataset
from oragen.features.rows import NONE
from oragen.models.output import HeadOutput
from oragen.schema.errors import UserError
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import GENDERS, MASK_TYPES
from oragen.training.inference import predict_clips
from oragen.training.scoring import (
    fill_with_baseline,
    find_majority_baseline,
    join_labels,
    score_clips,
    selection_score,
)
from tests.feature_stores import make_spec, write_features

AUDIO, FACE = make_spec("audio", shape=(1, 2)), make_spec("face", shape=(1, 2))
# window -> what the head is to say by its sound: share of female, age; by its face likewise
WINDOWS: list[tuple[str, int, tuple[float, float] | None, tuple[float, float] | None]] = [
    ("c/a", 0, (0.9, 20.0), (0.5, 60.0)),
    ("c/a", 1, (0.2, 40.0), None),
    ("c/b", 0, None, (0.25, 30.0)),
    ("c/c", 0, (0.25, 50.0), None),
]
LABELS: dict[str, dict[str, Any]] = {
    "c/a": {"gender": "female", "age_years": 33.0},
    "c/b": {"gender": "male", "age_years": 30.0, "mask_type": "ffp"},
    "c/c": {"gender": "female"},
    "c/d": {"gender": "male", "age_years": 80.0},
}


class PlainHead(nn.Module):
    """Predicts what its features are: their mean over both modalities."""

    def __init__(self, *, predicts_mask_type: bool = True) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))
        self.predicts_mask_type = predicts_mask_type

    def forward(
        self,
        audio: Float[Tensor, "batch steps 2"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots 1 2"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        tokens = torch.cat([audio, face[:, :, 0]], dim=1)
        valid = torch.cat([audio_valid, face_valid], dim=1)[..., None]
        female, age_years = ((tokens * valid).sum(1) / valid.sum(1).clamp(min=1)).unbind(1)
        mask_types = torch.tensor([0.1, 0.1, 0.1, 0.5, 0.1, 0.1]).log().expand(len(audio), 6)
        return HeadOutput(
            gender_logits=torch.stack([female.log(), (1 - female).log()], dim=1),
            mask_type_logits=mask_types if self.predicts_mask_type else None,
            age_logit=torch.logit(age_years / 100),
        )


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """The windows above, and `c/d` without one."""
    of_audio = {f"{c}-{n}": np.array([row]) for c, n, row, _ in WINDOWS if row}
    of_face = {f"{c}-{n}": np.array([row]) for c, n, _, row in WINDOWS if row}
    audio = write_features(tmp_path / "audio", of_audio, AUDIO)
    face = write_features(tmp_path / "face", of_face, FACE)
    rows: list[dict[str, object]] = [
        {
            "clip_id": clip, "start": number, "stop": number + 1, "has_window": True,
            "audio_store": str(tmp_path / "audio") if by_sound else None,
            "audio_intermediate": audio.get(f"{clip}-{number}"),
            "face_store": str(tmp_path / "face") if by_face else None,
            "face_intermediate": [face.get(f"{clip}-{number}"), None],
        }
        for clip, number, by_sound, by_face in WINDOWS
    ]  # fmt: skip
    rows.append({"clip_id": "c/d", "start": -1, "stop": -1, "has_window": False})
    shared = {"corpus": "c", "split": "test"}
    return DATASET.frame(
        [
            row | shared | LABELS[str(row["clip_id"])] | {"speaker_id": row["clip_id"]}
            for row in rows
        ]
    )


@pytest.fixture
def dataset(table: pd.DataFrame) -> WindowDataset:
    return load_dataset(table, level="intermediate", genders=GENDERS, memory_bytes=2**20)


def test_the_prediction_of_a_clip_is_the_mean_over_its_windows(dataset: WindowDataset) -> None:
    """`c/a`: windows predict 0.7 (sound and face) and 0.2 female, 40 and 40 years."""
    clips = predict_clips(PlainHead().eval(), dataset, genders=GENDERS)
    assert clips.index.tolist() == ["c/a", "c/b", "c/c"]
    assert clips["num_windows"].tolist() == [2, 1, 1]
    assert clips["gender_female"].to_numpy() == pytest.approx([0.45, 0.25, 0.25], abs=1e-3)
    assert clips["gender_male"].to_numpy() == pytest.approx([0.55, 0.75, 0.75], abs=1e-3)
    assert clips["predicted_gender"].tolist() == ["male", "male", "male"]
    assert clips["predicted_age_years"].to_numpy() == pytest.approx([40.0, 30.0, 50.0], abs=1e-2)
    assert clips["predicted_mask_type"].tolist() == ["ffp"] * 3
    assert clips[[f"mask_type_{word}" for word in MASK_TYPES]].iloc[0].tolist() == pytest.approx(
        [0.1, 0.1, 0.1, 0.5, 0.1, 0.1]
    )


def test_a_hidden_modality_has_no_influence(dataset: WindowDataset) -> None:
    by_audio = predict_clips(PlainHead().eval(), dataset, genders=GENDERS, modalities="audio")
    assert by_audio.index.tolist() == ["c/a", "c/c"]
    assert by_audio["num_windows"].tolist() == [2, 1]
    assert by_audio["gender_female"].to_numpy() == pytest.approx([0.55, 0.25], abs=1e-3)
    assert by_audio["predicted_age_years"].to_numpy() == pytest.approx([30.0, 50.0], abs=1e-2)
    by_face = predict_clips(PlainHead().eval(), dataset, genders=GENDERS, modalities="face")
    assert by_face.index.tolist() == ["c/a", "c/b"]
    assert by_face["num_windows"].tolist() == [1, 1]
    assert by_face["predicted_age_years"].to_numpy() == pytest.approx([60.0, 30.0], abs=1e-2)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_changes_nothing(dataset: WindowDataset, batch_size: int) -> None:
    head = PlainHead().eval()
    whole = predict_clips(head, dataset, genders=GENDERS)
    pd.testing.assert_frame_equal(
        whole, predict_clips(head, dataset, genders=GENDERS, batch_size=batch_size)
    )


def test_a_head_without_mask_types_predicts_none(
    dataset: WindowDataset, table: pd.DataFrame
) -> None:
    clips = predict_clips(PlainHead(predicts_mask_type=False).eval(), dataset, genders=GENDERS)
    assert not [column for column in clips if "mask" in column]
    assert score_clips(join_labels(clips, table))["mask_type_uar"] is None


def test_every_clip_has_a_row_also_without_a_prediction(
    dataset: WindowDataset, table: pd.DataFrame
) -> None:
    clips = join_labels(predict_clips(PlainHead().eval(), dataset, genders=GENDERS), table)
    assert clips.index.tolist() == ["c/a", "c/b", "c/c", "c/d"]
    assert clips["num_windows"].tolist() == [2, 1, 1, 0]
    assert clips.loc["c/d", "age_years"] == 80.0
    assert pd.isna(clips.loc["c/d", "predicted_gender"])


def test_without_any_modality_every_clip_has_a_row_and_no_prediction(
    dataset: WindowDataset, table: pd.DataFrame
) -> None:
    no_crops = np.full_like(dataset.face.row_of, NONE)
    without_faces = replace(dataset, face=replace(dataset.face, row_of=no_crops))
    predictions = predict_clips(
        PlainHead().eval(), without_faces, genders=GENDERS, modalities="face"
    )
    assert len(predictions) == 0
    joined = join_labels(predictions, table)
    assert joined["num_windows"].tolist() == [0, 0, 0, 0]
    scores = score_clips(joined)
    assert (scores["clips"], scores["without_window"]) == (4, 4)
    assert [scores[name] for name in ("gender_uar", "age_mae_years", "mask_type_uar")] == [None] * 3


def test_a_predicted_clip_that_nobody_knows_is_refused(
    dataset: WindowDataset, table: pd.DataFrame
) -> None:
    predictions = predict_clips(PlainHead().eval(), dataset, genders=GENDERS)
    with pytest.raises(ValueError, match="1 predicted clips are not in the dataset"):
        join_labels(predictions, table[table["clip_id"] != "c/a"])


def make_clips(**columns: list[Any]) -> pd.DataFrame:
    """Make clips with labels and predictions; other columns are unknown."""
    number = len(next(iter(columns.values())))
    nothing = dict.fromkeys(("gender", "mask_type"), [None] * number)
    ages = dict.fromkeys(("age_years", "predicted_age_years"), [50.0] * number)
    clips = {
        "corpus": ["c"] * number,
        "speaker_id": list(range(number)),
        "num_windows": [1] * number,
    }
    known = {
        **clips,
        **nothing,
        **ages,
        "gender_female": [0.5] * number,
        "gender_male": [0.5] * number,
    }
    return pd.DataFrame(known | columns)


def test_scores_of_four_clips() -> None:
    """Recall of female 1/2, of male 2/2; F1 2/3 and 4/5; errors of 0, 1, 2 and 5 years."""
    scores = score_clips(
        make_clips(
            gender=["female", "female", "male", "male"],
            predicted_gender=["female", "male", "male", "male"],
            age_years=[10.0, 20.0, 30.0, 40.0],
            predicted_age_years=[10.0, 21.0, 28.0, 45.0],
        )
    )
    assert scores["gender_uar"] == pytest.approx(0.75)
    assert scores["gender_macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores["age_mae_years"] == pytest.approx(2.0)
    # Means 25 and 26, variances 125 and 161.5, covariance 140.
    assert scores["age_ccc"] == pytest.approx(2 * 140 / (125 + 161.5 + 1))


def test_clips_without_a_window_are_counted_and_not_scored() -> None:
    scores = score_clips(
        make_clips(
            num_windows=[1, 1, 0],
            gender=["female", "male", "male"],
            predicted_gender=["female", "male", None],
            predicted_age_years=[50.0, 50.0, None],
        )
    )
    assert (scores["clips"], scores["without_window"]) == (3, 1)
    assert scores["gender_uar"] == 1.0


def test_the_majority_baseline_is_the_most_frequent_labels_and_the_mean_age() -> None:
    clips = make_clips(
        gender=["male", "female", "male", None],
        mask_type=["ffp", "none", None, None],
        age_years=[20.0, 40.0, None, 60.0],
    )
    baseline = find_majority_baseline(clips)
    assert baseline == {"gender": "male", "mask_type": "ffp", "age_years": 40.0}
    unknown = find_majority_baseline(clips[3:].assign(age_years=None))
    assert unknown == {"gender": None, "mask_type": None, "age_years": None}


def test_an_empty_clip_that_the_baseline_predicts_is_scored() -> None:
    """The man without a window is taken for a woman: recall 1 and 1/2; his age is wrong by 7."""
    clips = make_clips(
        num_windows=[1, 1, 0],
        gender=["female", "male", "male"],
        predicted_gender=["female", "male", None],
        age_years=[50.0, 50.0, 48.0],
        predicted_age_years=[50.0, 50.0, None],
    )
    filled = fill_with_baseline(clips, {"gender": "female", "mask_type": None, "age_years": 54.6})
    scores = score_clips(filled)
    assert scores["gender_uar"] == 0.75
    assert scores["age_mae_years"] == pytest.approx(7 / 3)
    assert scores["without_window"] == 1
    assert filled["gender_female"].tolist() == [0.5, 0.5, 1.0]
    assert clips["predicted_gender"].isna().tolist() == [False, False, True]


def test_unknown_labels_are_not_scored() -> None:
    scores = score_clips(
        make_clips(
            gender=["female", "male", None],
            predicted_gender=["female", "male", "male"],
            age_years=[10.0, None, 30.0],
            predicted_age_years=[12.0, 99.0, 32.0],
        )
    )
    assert scores["gender_uar"] == 1.0
    assert scores["age_mae_years"] == 2.0


def test_a_label_that_the_head_cannot_predict_is_not_scored() -> None:
    scores = score_clips(
        make_clips(
            gender=["female", "male", "child"], predicted_gender=["female", "male", "female"]
        )
    )
    assert (scores["gender_uar"], scores["gender_macro_f1"]) == (1.0, 1.0)


def test_one_class_alone_is_no_score() -> None:
    scores = score_clips(make_clips(gender=["male", "male"], predicted_gender=["male", "female"]))
    assert scores["gender_uar"] is None


def test_speakers_of_the_same_name_in_two_corpora_are_two() -> None:
    assert score_clips(make_clips(speaker_id=["x", "x", "y"]))["speakers"] == 2
    assert score_clips(make_clips(speaker_id=["x", "x"], corpus=["c", "d"]))["speakers"] == 2


def test_the_selection_score_is_the_mean_of_the_tasks_there_are() -> None:
    scores = {"gender_uar": 0.9, "age_ccc": 0.3, "mask_type_uar": 0.6}
    assert selection_score(scores) == pytest.approx(0.6)
    assert selection_score(scores | {"age_ccc": None}) == pytest.approx(0.75)


def test_nothing_to_select_by_says_what_to_label() -> None:
    with pytest.raises(UserError, match="Label some clips of the split `dev`"):
        selection_score({"gender_uar": None, "age_ccc": None, "mask_type_uar": None})


def test_the_paper_counts_votes_and_whole_years(dataset: WindowDataset) -> None:
    """The mean of two windows may point elsewhere than their votes; ages are rounded."""
    clean, paper = (
        predict_clips(PlainHead().eval(), dataset, genders=GENDERS, protocol=protocol)
        for protocol in ("clean", "paper")
    )
    assert set(paper["gender_female"]) <= {0.0, 0.5, 1.0}
    assert not set(clean["gender_female"]) <= {0.0, 0.5, 1.0}
    assert paper["predicted_age_years"].tolist() == clean["predicted_age_years"].round().tolist()
    assert paper["predicted_age_years"].tolist() != clean["predicted_age_years"].tolist()
