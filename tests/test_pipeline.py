"""The whole pipeline, by the real `dvc repro`, on generated clips and on broken ones."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from oragen.schema.tables import CLIPS, SKIPPED, WINDOWS
from tests.pipeline_predictions import assert_same, predict, read_predictions
from tests.project import Project, Run
from tests.template_project import NUM_EXAMPLES, Template, add_new_clip

PER_HEAD = ("train_head", "evaluate_head")
PER_CORPUS = (
    "index_clips", "decode_audio", "detect_speech", "crop_faces", "cut_windows", "measure_quality",
    "extract_audio_features", "extract_face_features", "extract_off_the_shelf",
)  # fmt: skip
EXPECTED_REASONS = {
    "empty": {"index_clips": "empty file"},
    "text": {"decode_audio": "not a media file", "crop_faces": "not a media file"},
    "truncated": {"decode_audio": "truncated or damaged", "crop_faces": "truncated or damaged"},
    "cut": {"decode_audio": "truncated or damaged", "crop_faces": "truncated or damaged"},
    "no_audio": {"decode_audio": "no audio track"},
    "no_video": {"crop_faces": "no video track"},
    "short": {"detect_speech": "no speech", "crop_faces": "no face"},
    "silent": {"detect_speech": "no speech"},
    "no_face": {"crop_faces": "no face"},
}
UNUSABLE = ("text", "truncated", "short")  # neither speech nor a face


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone that has run on a generated corpus, and on one of a user's own with broken files."""
    return template.copy(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def first(template: Template) -> Run:
    """The first `dvc repro`."""
    return template.run


def skipped_reasons(project: Project, corpus: str) -> dict[str, dict[str, str]]:
    """Clip -> stage -> reason."""
    reasons: dict[str, dict[str, str]] = {}
    for path in (project.folder / "data" / "skipped" / corpus).glob("*.parquet"):
        for row in SKIPPED.read(path).itertuples():
            reasons.setdefault(row.clip_id.removeprefix(f"{corpus}/"), {})[row.stage] = row.reason
    return reasons


def test_every_stage_runs_and_the_report_is_there(project: Project, first: Run) -> None:
    ran = {stage.partition("@")[0] for stage in first.stages}
    once = {"check_params", "settle_faces", "make_datasets", "explain_head", "report"}
    assert ran == {*PER_CORPUS, *PER_HEAD, *once}
    report = (project.folder / "data/reports/report.md").read_text()
    for row in (
        "| cross_attention | audio-visual |", "| face_only | face only |",
        "| mini | audio-visual |",
        "| own | face only |", "| all corpora | audio only |",
    ):  # fmt: skip
        assert row in report
    groups = json.loads((project.folder / "data/reports/tables/group_scores.json").read_text())
    by_accent = {
        row["group"]: row["clips_in_all"] for row in groups["rows"] if row["by"] == "accent"
    }
    assert by_accent == {"north": 2, "south": 1}  # the fourth clip has none
    assert {path.name for path in (project.folder / "data/reports/figures").iterdir()} >= {
        "confusion_gender.png", "ages.png", "training.png",
    }  # fmt: skip
    page = (project.folder / "data/reports/index.html").read_text()
    assert page.count("data:image/png;base64,") == 10 + 2 * NUM_EXAMPLES
    shown = {path.name for path in (project.folder / "data/explanations").iterdir()}
    assert shown == {
        f"{number}-{kind}.png"
        for number in range(1, NUM_EXAMPLES + 1)
        for kind in ("attention", "clip")
    }
    scored = json.loads((project.folder / "data/reports/tables/modalities.json").read_text())
    assert {row["corpus"] for row in scored["rows"]} == {"mini", "own", "all corpora"}


def test_broken_files_are_skipped_with_their_reason(project: Project, first: Run) -> None:
    reasons = skipped_reasons(project, "own")
    for name, expected in EXPECTED_REASONS.items():
        for stage, reason in expected.items():
            assert reasons[name].get(stage) == reason, (name, reasons[name])
    assert reasons["missing"] == {"index_clips": "no such file"}
    for name in UNUSABLE:
        assert reasons[name]["cut_windows"] == "neither 1 s of speech nor a face"


def test_a_clip_with_one_modality_still_has_windows(project: Project, first: Run) -> None:
    windows = WINDOWS.read(project.folder / "data/windows/own.parquet").set_index("clip_id")
    for name, has_speech in {
        "no_audio": False,
        "silent": False,
        "no_video": True,
        "no_face": True,
    }.items():
        of_clip = windows.loc[[f"own/{name}"]]
        assert set(of_clip["has_speech"]) == {has_speech}
        seen = {crop for crops in of_clip["crops"] for crop in crops} - {-1}
        assert bool(seen) is not has_speech


def test_every_clip_is_in_the_predictions(project: Project, first: Run) -> None:
    predictions = pd.read_parquet(project.folder / "data/predictions/cross_attention.parquet")
    clips = CLIPS.read(project.folder / "data/clips/own.parquet")
    own = predictions[
        (predictions["corpus"] == "own") & (predictions["modalities"] == "audio_visual")
    ]
    assert sorted(own["clip_id"]) == sorted(clips["clip_id"])
    without = own[own["num_windows"] == 0]
    assert set(without["clip_id"]) == {f"own/{name}" for name in UNUSABLE}
    assert without["predicted_gender"].isna().all()
    answered = own[own["num_windows"] > 0]
    for task in ("gender", "age_years", "mask_type"):
        assert answered[f"predicted_{task}"].notna().all()


@pytest.mark.parametrize("corpus", ["mini", pytest.param("own", marks=pytest.mark.slow)])
def test_a_predictor_answers_what_the_pipeline_answered(
    project: Project, first: Run, corpus: str
) -> None:
    """Also about broken files: those without a window are told by what is missing."""
    project.repro()
    answers = read_predictions(project, corpus)
    assert len(answers) >= 5
    assert_same(predict(project, corpus, answers), answers)


@pytest.mark.slow
def test_the_command_line_answers_what_the_pipeline_answered(project: Project, first: Run) -> None:
    project.repro()
    answers = read_predictions(project, "mini").reset_index().set_index("path")
    root = project.folder / "data" / "corpora" / "mini"
    run = project.run("oragen", "predict", *(str(root / path) for path in answers.index),
                      "--output", "answers.json")  # fmt: skip
    assert run.exit_code == 0, run.output
    written = json.loads((project.folder / "answers.json").read_text())
    assert len(written) == len(answers)
    for answer in written:
        row = answers.loc[str(Path(answer["input"]).relative_to(root))]
        assert answer["gender"]["label"] == row["predicted_gender"]
        found = answer["mask_type"]["probabilities"]
        expected = {label: row[f"mask_type_{label}"] for label in found}
        assert found == pytest.approx(expected, abs=1e-5)
        assert answer["age"]["value"] == pytest.approx(row["predicted_age_years"], abs=1e-3)


def test_each_stage_prints_one_line_that_adds_up(first: Run) -> None:
    for stage in PER_CORPUS:
        line = first.line_of(f"{stage} own")
        counts = {word: int(number) for number, word in _numbers_before_words(line)}
        assert counts["clips in"] == counts["out"] + counts["skipped"], line


def _numbers_before_words(line: str) -> list[tuple[str, str]]:
    return re.findall(r"(\d+) (clips in|out|skipped)\b", line.partition("(")[0])


def test_metrics_and_plots_are_readable_by_dvc(project: Project, first: Run) -> None:
    shown = project.run("dvc", "metrics", "show", "--json")
    files = json.loads(shown.output)[""]["data"]
    metrics = {Path(name).stem: file["data"] for name, file in files.items()}
    assert set(metrics) == {"cross_attention", "face_only"}
    assert set(metrics["face_only"]) == {"gender_uar", "age_mae_years", "mask_type_uar"}
    plots = project.run("dvc", "plots", "show", "--json")
    assert plots.exit_code == 0
    assert '"dev_score"' in plots.output


@pytest.mark.slow
def test_a_report_names_its_commit_and_is_the_same_when_it_is_made_again(
    project: Project, first: Run
) -> None:
    page = project.folder / "data/reports/index.html"
    before = page.read_bytes()
    of_earlier_version = page.with_name("metrics.json")
    of_earlier_version.write_text("{}")
    assert project.run("python", "-m", "stages.report").exit_code == 0
    assert page.read_bytes() == before
    assert not of_earlier_version.exists()
    commit = project.run("git", "log", "-1", "--abbrev=10", "--format=%h of %cs").output.strip()
    assert f"{commit}, with changes to params.yaml" in page.read_text(encoding="utf-8")
    assert "The people in mini are drawn" in (project.folder / "data/reports/report.md").read_text()


def test_a_second_run_runs_nothing_also_at_a_new_commit(project: Project, first: Run) -> None:
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    assert project.run("git", *author, "commit", "--all", "--message=run").exit_code == 0
    assert project.repro().stages == []


@pytest.mark.slow
def test_a_head_parameter_reruns_that_head_alone(project: Project, first: Run) -> None:
    heads = project.read_params()["heads"]
    project.change(heads={"face_only": heads["face_only"] | {"dropout": 0.2}})
    assert project.repro().stages == ["train_head@face_only", "evaluate_head@face_only", "report"]


@pytest.mark.slow
def test_the_published_protocol_merges_dev_and_answers_every_clip(
    project: Project, first: Run
) -> None:
    project.repro()
    project.change(protocol="paper")
    stages = project.repro().stages
    assert {stage.partition("@")[0] for stage in stages} == {*PER_HEAD, "explain_head", "report"}
    history = pd.read_csv(project.folder / "data/heads/face_only/history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert history["dev_score"].isna().all()
    predictions = pd.read_parquet(project.folder / "data/predictions/face_only.parquet")
    empty = predictions[predictions["num_windows"] == 0]
    assert {f"own/{name}" for name in UNUSABLE} <= set(empty["clip_id"])
    assert empty["predicted_gender"].nunique() == 1
    ages = predictions["predicted_age_years"]
    assert (ages == ages.round()).all()
    report = (project.folder / "data/reports/report.md").read_text()
    assert "Protocol `paper`" in report
    project.change(protocol="clean")
    project.repro()
    assert "Protocol `clean`" in (project.folder / "data/reports/report.md").read_text()


@pytest.mark.slow
def test_a_head_may_be_trained_on_corpora_of_its_own(project: Project, first: Run) -> None:
    project.repro()
    train = project.folder / "data" / "datasets" / "train"
    before = (train / "face_only.parquet").read_bytes()
    project.change(train={"corpora_of": {"cross_attention": ["own"]}})
    assert project.run("python", "-m", "stages.make_datasets").exit_code == 0
    assert (train / "face_only.parquet").read_bytes() == before
    assert pd.read_parquet(train / "cross_attention.parquet").empty  # own is all for testing
    project.change(train={"corpora_of": {}})


@pytest.mark.slow
def test_a_head_more_costs_that_head(project: Project, first: Run) -> None:
    """Here one that does not tell the mask type, and stands first in the report."""
    project.repro()
    heads = project.read_params()["heads"]
    plain = heads["late_fusion"] | {"mask_type": "none"}
    project.change(use_heads=["plain", "cross_attention", "face_only"], heads={"plain": plain})
    asked = ("extract_off_the_shelf@mini", "extract_off_the_shelf@own")  # if there is such a head
    more = project.repro().stages
    assert {*asked} <= {*more}
    assert [stage for stage in more if stage not in asked] == [
        "check_params", "make_datasets", "train_head@plain", "evaluate_head@plain", "explain_head",
        "report",
    ]  # fmt: skip
    metrics = json.loads((project.folder / "data/reports/details.json").read_text())
    assert "mask_type_uar" not in metrics["plain"]["mini"]["audio_visual"]
    assert "mask_type_uar" in metrics["cross_attention"]["mini"]["audio_visual"]
    project.change(use_heads=["cross_attention", "face_only"])
    back = [stage for stage in project.repro().stages if stage not in asked]
    assert back == ["report"]  # what came before is in the run cache


@pytest.mark.slow
def test_window_parameters_leave_media_stages_alone(project: Project, first: Run) -> None:
    features = ("extract_audio_features@own", "extract_face_features@own")
    project.change(windows={"hop_s": 1})
    assert sorted(project.repro(*features).stages) == ["cut_windows@own", *features]
    project.change(windows={"hop_s": 2})
    back = project.repro(*features)
    for modality in ("audio", "face"):
        assert " 0 encoded now" in back.line_of(f"extract_{modality}_features own")


@pytest.mark.slow
def test_a_new_clip_costs_that_clip_alone(project: Project, first: Run) -> None:
    project.repro()
    add_new_clip(project)
    run = project.repro()
    assert not any(stage.endswith("@mini") for stage in run.stages)
    trained = [stage for stage in run.stages if stage.startswith("train_head")]
    assert trained == []  # nothing they are trained on has changed
    assert " 1 decoded" in run.line_of("decode_audio own")
    assert " 1 clips searched now" in run.line_of("detect_speech own")
    assert " 1 clips searched now" in run.line_of("crop_faces own")
    windows = WINDOWS.read(project.folder / "data/windows/own.parquet")
    of_new = windows[windows["clip_id"] == "own/new"]
    crops = {crop for crops in of_new["crops"] for crop in crops} - {-1}
    assert f" {len(of_new)} encoded now" in run.line_of("extract_audio_features own")
    assert f" {len(crops)} encoded now" in run.line_of("extract_face_features own")


def test_a_mistyped_parameter_is_one_sentence_and_exit_code_2(project: Project, first: Run) -> None:
    kept = (project.folder / "params.yaml").read_text()
    project.change(windows={"lenght_s": 3})
    run = project.run("python", "-m", "stages.cut_windows", "own")
    (project.folder / "params.yaml").write_text(kept)
    assert run.exit_code == 2
    assert "windows: there is no 'lenght_s'. Did you mean 'length_s'?" in run.output
    assert "Traceback" not in run.output


def test_the_graph_of_stages_is_the_flow(project: Project, first: Run) -> None:
    mermaid = project.run("dvc", "dag", "--mermaid").output
    assert "cut_windows@own" in mermaid
    assert "train_head" in mermaid
