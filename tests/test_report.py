"""Scores -> tables and pictures that people read, compared with what was written by hand."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from oragen.report import (
    compare_evidence,
    compare_heads,
    draw_confusion,
    summarise,
    to_metrics,
    write_json,
)

HEADER = (
    "| Corpus | {} | Gender UAR % | Gender F1 % | Age MAE, years | Mask UAR % | Mask F1 % | "
    "Clips | Speakers | Without window |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)


def scores(
    corpus: str, evidence: str, seed: int, head: str = "joint", **known: float | None
) -> dict[str, Any]:
    """The scores of one seed; what is not given could not be scored."""
    tasks = ("gender_uar", "gender_macro_f1", "mask_type_uar", "mask_type_macro_f1")
    nothing = dict.fromkeys((*tasks, "age_mae_years", "age_ccc"))
    counts = {"clips": 40, "speakers": 10, "without_window": 3}
    about = {"corpus": corpus, "head": head, "evidence": evidence, "seed": seed}
    return about | counts | nothing | known


def two_seeds() -> list[dict[str, Any]]:
    """Mean 0.8 and 0.7; deviations of 0.1 / sqrt(2) * 2 = 0.141 and 0; ages 6 and 8 years."""
    return [
        scores("a", "audio_visual", seed, gender_uar=uar, gender_macro_f1=0.7, age_mae_years=years)
        for seed, uar, years in ((0, 0.7, 6.0), (1, 0.9, 8.0))
    ]


def test_two_seeds_give_mean_and_spread_and_a_dash_for_no_score() -> None:
    table = compare_evidence(summarise(pd.DataFrame(two_seeds())), "joint", num_seeds=2)
    assert table == HEADER.format("Evidence") + (
        "| a | audio-visual | 80.0 ± 14.1 | 70.0 ± 0.0 | 7.00 ± 1.41 | – | – | 40 | 10 | 3 |\n"
    )


def test_one_seed_has_no_spread() -> None:
    table = compare_evidence(summarise(pd.DataFrame(two_seeds()[:1])), "joint", num_seeds=1)
    assert table == HEADER.format("Evidence") + (
        "| a | audio-visual | 70.0 | 70.0 | 6.00 | – | – | 40 | 10 | 3 |\n"
    )


def test_lines_stand_in_the_order_of_the_scores() -> None:
    rows = [
        scores(c, e, 0, gender_uar=0.5) for c in "ba" for e in ("audio_visual", "audio", "face")
    ]
    lines = compare_evidence(summarise(pd.DataFrame(rows)), "joint", num_seeds=1).splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [
        [f"| {corpus}", evidence]
        for corpus in "ba"
        for evidence in ("audio-visual", "audio only", "face only")
    ]


def test_nothing_that_can_be_scored_is_a_line_of_dashes() -> None:
    table = compare_evidence(
        summarise(pd.DataFrame([scores("a", "face", 0)])), "joint", num_seeds=1
    )
    assert (
        table == HEADER.format("Evidence") + "| a | face only | – | – | – | – | – | 40 | 10 | 3 |\n"
    )


def test_heads_are_compared_on_the_widest_evidence_each_takes() -> None:
    """The first line of a head and corpus counts; heads of one corpus stand together."""
    rows = [
        scores(corpus, evidence, 0, head, gender_uar=uar)
        for head, evidences in {"wide": ("audio_visual", "audio"), "narrow": ("audio",)}.items()
        for evidence, uar in zip(evidences, (0.9, 0.6), strict=False)
        for corpus in ("b", "a")
    ]
    lines = compare_heads(summarise(pd.DataFrame(rows)), num_seeds=1).splitlines()
    assert lines[0] + "\n" == HEADER.format("Head").splitlines(keepends=True)[0]
    assert [line.split(" | ")[:3] for line in lines[2:]] == [
        ["| b", "wide", "90.0"],
        ["| b", "narrow", "90.0"],
        ["| a", "wide", "90.0"],
        ["| a", "narrow", "90.0"],
    ]


def test_metrics_are_plain_numbers_by_head_corpus_and_evidence() -> None:
    rows = [*two_seeds(), scores("all corpora", "audio", 0, mask_type_uar=1 / 3)]
    assert to_metrics(summarise(pd.DataFrame(rows))) == {
        "joint": {
            "a": {
                "audio_visual": {
                    "clips": 40, "speakers": 10, "without_window": 3,
                    "gender_uar": 0.8, "gender_uar_std": 0.1414,
                    "gender_macro_f1": 0.7, "gender_macro_f1_std": 0.0,
                    "age_mae_years": 7.0, "age_mae_years_std": 1.414,
                },
            },
            "all_corpora": {
                "audio": {
                    "clips": 40, "speakers": 10, "without_window": 3,
                    "mask_type_uar": 0.3333, "mask_type_uar_std": 0.0,
                },
            },
        },
    }  # fmt: skip


def test_metrics_can_be_read_back(tmp_path: Path) -> None:
    metrics = to_metrics(summarise(pd.DataFrame(two_seeds())))
    path = tmp_path / "reports" / "metrics.json"
    write_json(path, metrics)
    assert json.loads(path.read_text()) == metrics
    assert path.read_text().startswith('{\n  "joint": {\n')


def read_picture(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


@pytest.mark.parametrize("num_labels", [2, 6])
def test_a_confusion_matrix_is_a_square_picture_of_a_size_to_look_at(
    tmp_path: Path, num_labels: int
) -> None:
    labels = [f"class {number}" for number in range(num_labels)]
    path = tmp_path / "figures" / "confusion.png"
    draw_confusion(path, pd.Series(labels), pd.Series(labels[::-1]), labels, "title")
    height, width = read_picture(path).shape[:2]
    assert path.read_bytes().startswith(b"\x89PNG")
    assert height == width
    assert 300 < height < 1000


def test_a_confusion_matrix_shows_what_was_confused(tmp_path: Path) -> None:
    """Of two women both are right, of two men one: on the diagonal it is darker for the women."""
    true = pd.Series(["female", "female", "male", "male"])
    labels = ["female", "male"]
    pictures = []
    for name, predicted in {"some": [*true[:3], "female"], "none": list(true)}.items():
        draw_confusion(tmp_path / f"{name}.png", true, pd.Series(predicted), labels, "title")
        pictures.append(read_picture(tmp_path / f"{name}.png").astype(int))
    is_darker = pictures[0].mean(axis=2) - pictures[1].mean(axis=2)
    assert (np.abs(is_darker) > 50).mean() > 0.1


def test_a_picture_of_nothing_can_be_drawn(tmp_path: Path) -> None:
    nothing = pd.Series([], dtype=str)
    draw_confusion(tmp_path / "nothing.png", nothing, nothing, ["a", "b"], "title")
    child = pd.Series(["child"])
    draw_confusion(tmp_path / "child.png", child, pd.Series(["a"]), ["a", "b"], "title")
    assert read_picture(tmp_path / "nothing.png").min() < 255
    assert (tmp_path / "nothing.png").read_bytes() == (tmp_path / "child.png").read_bytes()


def test_the_same_numbers_give_the_same_picture(tmp_path: Path) -> None:
    true = pd.Series(["a", "b"])
    for name in ("one", "two"):
        draw_confusion(tmp_path / f"{name}.png", true, true, ["a", "b"], "title")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
