"""Which held-out clips are shown, and what a head predicts for one of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from oragen.models.heads import HeadSizes, build_head
from oragen.reporting.explanations import choose_clips, explain_clip
from oragen.reporting.figures.example import ExampleCrop
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import GENDERS, Span
from oragen.training.calibration import Calibration
from oragen.training.inference import predict_clips
from tests.feature_stores import load_speakers, write_speakers

SIZES = HeadSizes(4, 3, 2, 2, 6, num_genders=2, num_mask_types=6)


def clips(**kinds: int) -> pd.DataFrame:
    """So many clips of each mask type, each with two windows."""
    rows = [
        {"clip_id": f"{kind}-{number}", "corpus": "c", "mask_type": kind, "has_window": True}
        for kind, count in kinds.items()
        for number in range(count)
    ]
    return pd.DataFrame([row for row in rows for _ in range(2)])


def test_a_clip_of_each_kind_is_shown_before_a_second_of_any() -> None:
    chosen = choose_clips(clips(none=20, ffp=20, shield=1), 5)
    kinds = [clip.partition("-")[0] for clip in chosen]
    assert sorted(kinds[:3]) == ["ffp", "none", "shield"]
    assert sorted(kinds[3:]) == ["ffp", "none"]
    assert len(set(chosen)) == 5


def test_the_same_clips_are_chosen_whatever_order_they_come_in() -> None:
    table = clips(none=30, ffp=30)
    assert choose_clips(table, 4) == choose_clips(table.sample(frac=1, random_state=0), 4)
    assert choose_clips(table, 4)[0] != "none-0"  # not the first ones


def test_a_clip_without_a_window_is_not_shown_and_no_more_than_there_are() -> None:
    table = clips(none=2).assign(has_window=[True, True, False, False])
    assert choose_clips(table, 9) == ["none-0"]


@pytest.mark.parametrize("name", ["cross_attention", "joint", "late_fusion"])
def test_a_clip_is_explained_by_what_the_head_predicts(tmp_path: Path, name: HeadName) -> None:
    """The windows begin at 0 and 2 s and last 4; the last crop was taken at 7 s."""
    dataset = load_speakers(write_speakers(tmp_path, 1))
    torch.manual_seed(0)
    head = build_head(name, SIZES, width=16).eval()
    crops = [ExampleCrop(second, np.zeros((8, 8, 3), np.uint8)) for second in (0.0, 7.0)]
    found = explain_clip(
        head,
        name,
        dataset,
        crops=crops,
        speech=[Span(8000, 24000)],
        genders=GENDERS,
        calibration=Calibration(gender_temperature=2.0, age_half_width_years=9.0),
    )
    example = found.example
    assert [(window.start_s, window.stop_s) for window in example.windows] == [(0, 4), (2, 6)]
    assert example.duration_s == 8.0
    assert example.speech_s == [(0.5, 1.5)]
    assert example.labels.mask_type == "none"
    predicted = predict_clips(
        head, dataset, genders=GENDERS, calibration=Calibration(gender_temperature=2.0)
    ).iloc[0]
    assert example.predicted.age_years == pytest.approx(predicted["predicted_age_years"])
    assert example.predicted.age_half_width_years == 9.0
    women = np.mean([window.genders["female"] for window in example.windows])
    assert women == pytest.approx(predicted["gender_female"])
    assert bool(found.maps) is (name != "late_fusion")
    assert bool(example.attention) is bool(found.maps)
