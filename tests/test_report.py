"""Predictions -> the summary, figures and page of a report, compared with numbers by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from oragen.config import paths
from oragen.config.params import load_params
from oragen.reporting.best_heads import CAVEAT, describe_rankings, rank_heads
from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.figures.explanations import attention_path, clip_path, list_explanations
from oragen.reporting.figures.figure import Figure
from oragen.reporting.figures.head_figures import draw_figures, write_plot_data
from oragen.reporting.page.sections import PageTable, lay_out
from oragen.reporting.reading import read_predictions
from oragen.reporting.run_description import (
    Settings,
    describe_drawn,
    describe_run,
    list_facts,
    measure_coverage,
)
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import HOW_TO_READ, Cell, Column, ReportTable, Row
from oragen.schema.errors import UserError
from oragen.training.training_data import TrainingCorpus, TrainingData
from stages.report import SHOWN_PARAMS, read_history, show_params
from tests.project import REPOSITORY


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Three clips of two speakers, predicted from all modalities; the ages are off by 1 to 3."""
    clips = pd.DataFrame(
        {
            "corpus": ["a", "a", "b"], "clip_id": ["a/1", "a/2", "b/1"],
            "speaker_id": ["x", "x", "x"], "gender": ["female", "female", "male"],
            "mask_type": ["none", "ffp", "none"], "age_years": [20.0, 30.0, 40.0],
            "predicted_gender": ["female", "male", "male"],
            "predicted_mask_type": ["none", "ffp", "ffp"],
            "predicted_age_years": [21.0, 32.0, 43.0], "num_windows": [1, 1, 1],
            "gender_female": [0.9, 0.2, 0.1], "gender_male": [0.1, 0.8, 0.9],
            "mask_type_none": [0.8, 0.1, 0.4], "mask_type_ffp": [0.2, 0.9, 0.6],
        }
    )  # fmt: skip
    about = {"head": "joint", "seed": 0, "split": "test", "age_half_width_years": 2.0}
    return clips.assign(modalities="audio_visual", **about)


KNOWN = TrainingData(
    (
        TrainingCorpus("a", num_speakers=150, num_clips=300, generated=False),
        TrainingCorpus("b", num_speakers=2, num_clips=4, generated=True),
    ),
    18.0,
    79.0,
)
SETTINGS = Settings("clean", ["test"], [0, 1], {"tiny": ["a", "b"], "large": []}, {})


def test_a_run_is_described_with_its_protocol_counts_and_encoders(
    predictions: pd.DataFrame,
) -> None:
    """Both corpora have a speaker x, who are two; two of three errors are at most 2 years."""
    narrow = predictions.assign(modalities="face")
    scored, trained, covered = describe_run(
        pd.concat([predictions, narrow]), predictions, "joint", SETTINGS
    )
    assert scored.startswith("Scored on test of a, b: 3 clips of 2 speakers. Protocol `clean`: ")
    assert "Heads are selected on dev." in scored
    assert trained == (
        "Training seeds: 0, 1. Encoders: tiny (fine-tuned on a, b); large (not fine-tuned)."
    )
    assert covered == (
        "67% of the true ages lie in the 90 % interval of joint, which was fitted on dev."
    )
    strange = predictions.assign(unfamiliarity=[1.5, 0.5, 0.5])
    *_, covered = describe_run(strange, strange, "joint", SETTINGS)
    assert covered.endswith("on dev. Clips unlike those of training have none.")
    paper = describe_run(predictions, predictions, "joint", SETTINGS._replace(protocol="paper"))[0]
    assert "trained on train and dev" in paper


def test_a_report_begins_with_whom_its_heads_know(predictions: pd.DataFrame) -> None:
    settings = SETTINGS._replace(training={"joint": KNOWN, "face_only": KNOWN, "old": None})
    generated, unknown, trained, *_ = describe_run(predictions, predictions, "joint", settings)
    assert generated.startswith(
        "Warning (joint, face_only): This model was trained on generated people, too: "
    )
    assert unknown == "Warning (old): This model does not say on whom it was trained."
    assert trained == (
        "joint, face_only: trained on a (300 clips of 150 speakers); b (4 clips of 2 speakers, "
        "generated); ages 18 to 79."
    )


def test_without_an_interval_nothing_is_said_of_coverage(predictions: pd.DataFrame) -> None:
    uncalibrated = predictions.assign(age_half_width_years=np.nan)
    assert measure_coverage(uncalibrated) is None
    assert len(describe_run(uncalibrated, uncalibrated, "joint", SETTINGS)) == 2


def test_the_edge_of_an_interval_is_inside(predictions: pd.DataFrame) -> None:
    assert measure_coverage(predictions.iloc[:2]) == 1.0
    assert measure_coverage(predictions.iloc[:2].assign(age_half_width_years=1.99)) == 0.5


HISTORY = pd.DataFrame(
    {
        "seed": [0, 0], "phase": [1, 1], "epoch": [1, 2], "train_loss": [2.0, 1.0],
        "dev_score": [0.5, 0.6], "gender_uar": [0.5, 0.6], "age_mae_years": [9.0, 8.0],
        "mask_type_uar": [0.5, 0.6],
    }
)  # fmt: skip


def test_every_figure_is_drawn_and_described_in_its_own_words(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    figures = draw_figures(tmp_path, predictions, {"joint": HISTORY}, "joint")
    assert {figure.path.name for figure in figures} == {
        "confusion_gender.png", "confusion_mask_type.png", "ages.png", "age_errors.png",
        "reliability_gender.png", "reliability_mask_type.png", "risk_coverage.png", "training.png",
    }  # fmt: skip
    assert all(figure.path.read_bytes().startswith(b"\x89PNG") for figure in figures)
    assert len({figure.alt for figure in figures}) == len(figures)


@pytest.mark.slow
def test_a_task_with_one_class_has_no_confusion_matrix(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    women = predictions.assign(gender="female", mask_type=["none", "ffp", None])
    figures = draw_figures(tmp_path, women, {"joint": HISTORY}, "joint")
    names = {figure.path.name for figure in figures if figure.path.name.startswith("confusion")}
    assert names == {"confusion_mask_type.png"}
    assert not (tmp_path / "confusion_gender.png").exists()


NAMES = ("clip_id", "speaker_id")


def score(**heads: dict[str, object]) -> HeadScores:
    """Three times four clips of as many speakers, all correct but for what a head changes."""
    clips = pd.DataFrame(
        {
            "corpus": "a", "clip_id": ["1", "2", "3", "4"],
            "speaker_id": ["v", "w", "x", "y"], "gender": ["female", "female", "male", "male"],
            "mask_type": "none", "age_years": [20.0, 30.0, 40.0, 50.0],
            "age_low": np.nan, "age_high": np.nan, "num_windows": 1,
            "predicted_gender": ["female", "female", "male", "male"],
            "predicted_mask_type": "none", "predicted_age_years": [21.0, 33.0, 41.0, 53.0],
            "gender_female": 0.5, "gender_male": 0.5, "mask_type_none": 1.0,
            "seed": 0, "split": "test", "modalities": "audio", "variant": "joint",
            "level": "late", "trained_on": "a",
        }
    )  # fmt: skip
    rows = [
        clips.assign(head=head, **changes, **{name: times + clips[name] for name in NAMES})
        for head, changes in heads.items()
        for times in "abc"
    ]
    return HeadScores(pd.concat(rows), SpeakerDraws(np.random.default_rng(0), 200))


def test_the_best_heads_are_named_by_each_score_and_who_is_worse_beyond_chance() -> None:
    """Gender: all right, one of two men wrong, or nothing said of one of them.

    Ages: off by 1, 3, 1 and 3 years, so 2 in the mean. By 2.5 years each: some resamples are
    better. By 9 years: none is. All wear the same mask: no score.
    """
    scores = score(
        first={},
        near={
            "predicted_gender": ["female", "female", "male", "female"],
            "predicted_age_years": [22.5, 32.5, 42.5, 52.5],
        },
        far={
            "predicted_gender": ["female", "female", "male", None],
            "predicted_age_years": [29.0, 39.0, 49.0, np.nan],
        },
    )
    assert describe_rankings(rank_heads(scores)) == [
        CAVEAT,
        "Gender UAR %: far and first are best, 100.0 [100.0, 100.0] (on 9 of 12 clips). Not worse "
        "beyond chance: near 75.0.",
        "Age MAE, years: first is best, 2.00 [1.50, 2.50]. Not worse beyond chance: near 2.50. "
        "Worse beyond chance: far 9.00 (on 9 of 12 clips).",
    ]


def test_a_head_that_is_better_on_common_clips_is_not_called_worse() -> None:
    """The first predicts half of the clips alone, 5 years off, where the other is 3 years off."""
    scores = score(
        choosy={"predicted_age_years": [25.0, 35.0, np.nan, np.nan]},
        good={"predicted_age_years": [23.0, 33.0, 70.0, 80.0]},
    )
    assert describe_rankings(rank_heads(scores))[-1] == (
        "Age MAE, years: choosy is best, 5.00 [5.00, 5.00] (on 6 of 12 clips). Better on the "
        "clips that both predict: good 16.50."
    )


def test_one_head_is_not_called_the_best() -> None:
    assert describe_rankings(rank_heads(score(only={}))) == []


def test_people_are_called_drawn_where_they_are() -> None:
    (said,) = describe_drawn(["studio", "phone"])
    assert said.startswith("The people in studio and phone are drawn")
    assert describe_drawn([]) == []
    counts = ReportTable("counts", "Counts", "", [], [Row({"a": 1}, [])])
    sections = lay_out([counts], [], [Figure(Path("b.png"), "clip")], "joint", drawn=["studio"])
    (beside,) = (section for section in sections if section.title == "Single clips")
    assert beside.text == describe_drawn(["studio"])


def test_the_parameters_of_the_page_hold_no_path(tmp_path: Path) -> None:
    params = load_params(REPOSITORY / "params.yaml")
    faces = params.faces.model_copy(update={"weights": tmp_path / "yunet.onnx"})
    shown = yaml.safe_load(show_params(params.model_copy(update={"faces": faces})))
    assert shown["windows"]["length_s"] == params.windows.length_s
    assert shown["train"]["seeds"] == params.train.seeds
    assert "weights" not in shown["faces"]
    assert "corpora" not in shown
    assert str(tmp_path) not in str(shown)


def test_every_shown_parameter_makes_the_report_again() -> None:
    stage = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]["report"]
    assert set(SHOWN_PARAMS) <= set(stage["params"])


def test_facts_are_a_list_in_markdown() -> None:
    assert list_facts({"Commit": "1 of 2", "Heads": "a"}) == ["- Commit: 1 of 2\n- Heads: a"]


@pytest.mark.slow
def test_a_head_that_was_never_selected_is_drawn_too(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    """By the published protocol there is no dev score."""
    unselected = HISTORY.assign(dev_score=np.nan, gender_uar=np.nan, age_mae_years=np.nan)
    draw_figures(tmp_path, predictions, {"joint": unselected}, "joint")
    assert (tmp_path / "training.png").is_file()


def test_dvc_gets_the_numbers_behind_the_figures(predictions: pd.DataFrame, tmp_path: Path) -> None:
    write_plot_data(tmp_path, predictions, {"joint": HISTORY})
    confusion = pd.read_csv(tmp_path / "confusion_gender.csv")
    assert confusion.to_numpy().tolist() == [
        ["female", "female"], ["female", "male"], ["male", "male"],
    ]  # fmt: skip
    ages = pd.read_csv(tmp_path / "ages.csv")
    assert ages["true_age_years"].tolist() == [20.0, 30.0, 40.0]
    assert ages["predicted_age_years"].tolist() == [21.0, 32.0, 43.0]
    assert len(pd.read_csv(tmp_path / "training.csv")) == 2
    assert {path.stem for path in tmp_path.iterdir()} >= {
        "reliability_gender", "reliability_mask_type", "confusion_mask_type",
    }  # fmt: skip


def test_single_clips_come_in_their_order_each_before_its_attention(tmp_path: Path) -> None:
    for number in (10, 2):
        clip_path(tmp_path, number).touch()
        attention_path(tmp_path, number).touch()
    figures = list_explanations(tmp_path, "joint")
    assert [figure.path.name for figure in figures] == [
        "2-clip.png", "2-attention.png", "10-clip.png", "10-attention.png",
    ]  # fmt: skip
    assert figures[1].alt == "Attention of joint in the window with the most crops"
    attention_path(tmp_path, 2).unlink()
    assert len(list_explanations(tmp_path, "joint")) == 3


def test_a_page_holds_all_tables_and_figures() -> None:
    cells = [Cell("gender_uar", 0.5)]
    table = ReportTable(
        "name", "Title", "A note.", [Column("a", "A")], [Row({"method": "joint"}, cells)]
    )
    figure, explanation = Figure(Path("a.png"), "alt", "caption"), Figure(Path("b.png"), "clip")
    counts = replace(table, title="Counts")
    scored, drawn, single, counted = lay_out([table, counts], [figure], [explanation], "joint")
    assert scored.parts == [PageTable("Title", ["Method", "A"], [["joint", "50.0"]], "A note.")]
    assert drawn.parts == [figure]
    assert single.parts == [explanation]
    assert [part.title for part in counted.parts if isinstance(part, PageTable)] == ["Counts"]
    without = lay_out([table, counts], [figure], [], "joint")
    assert [section.title for section in without] == ["Scores", "joint in figures", "Counts"]


def test_tables_stand_in_their_sections_and_a_figure_with_the_tables_that_it_belongs_to() -> None:
    table = ReportTable("a", "A", "", [], [Row({"a": 1}, [])], "Age thresholds")
    others = [replace(table, title=title, section=title) for title in ("Scores", "Counts")]
    figures = [Figure(Path("a.png"), "a"), Figure(Path("b.png"), "b", "", "Age thresholds")]
    sections = lay_out([table, others[0], table, others[1]], figures, [], "joint")
    assert [section.title for section in sections] == [
        "Age thresholds", "Scores", "joint in figures", "Counts",
    ]  # fmt: skip
    first, scores, drawn, _ = sections
    assert [getattr(part, "title", part) for part in first.parts] == ["A", "A", figures[1]]
    assert drawn.parts == [figures[0]]
    assert (first.text, scores.text) == ([HOW_TO_READ], ())


def test_what_a_report_lacks_is_one_sentence(
    predictions: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = paths.predictions_table("joint")
    with pytest.raises(UserError, match=r"joint was not evaluated\. Run `dvc repro evaluate_head`"):
        read_predictions([path])
    with pytest.raises(UserError, match=r"joint was not trained\. Run `dvc repro train_head`"):
        read_history("joint")
    path.parent.mkdir(parents=True)
    predictions = predictions.assign(variant="joint", level="late", trained_on="a")
    predictions.to_parquet(path)
    assert len(read_predictions([path])) == 3
    predictions.rename(columns={"modalities": "evidence"}).to_parquet(path)
    with pytest.raises(UserError, match=r"no column `modalities`.*Run `dvc repro evaluate_head`"):
        read_predictions([path])
