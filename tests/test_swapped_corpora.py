"""Corpora swapped by a parameter or an experiment, and back, by real DVC."""

import json

import pytest

from tests.doc_blocks import find_blocks
from tests.project import Project
from tests.template_project import Template


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone that has run on a generated corpus, and on one of a user's own with broken files."""
    return template.copy(tmp_path_factory.mktemp("project"))


@pytest.mark.slow
def test_corpora_are_swapped_by_a_parameter(project: Project) -> None:
    project.repro()
    project.change(use_corpora=["mini"])
    project.repro()
    metrics = json.loads((project.folder / "data/reports/details.json").read_text())
    assert set(metrics["cross_attention"]) == {"mini"}
    project.change(use_corpora=["mini", "own"])
    assert not any("@own" in stage for stage in project.repro().stages)


@pytest.mark.slow
def test_an_experiment_swaps_corpora_and_back_without_computing(project: Project) -> None:
    project.repro()
    swap = project.run("dvc", "exp", "run", "-S", "use_corpora=[mini]")
    assert swap.exit_code == 0, swap.output
    metrics = json.loads((project.folder / "data/reports/details.json").read_text())
    assert set(metrics["cross_attention"]) == {"mini"}
    back = project.run("dvc", "exp", "run", "-S", "use_corpora=[mini,own]")
    assert back.exit_code == 0, back.output
    assert not any("@mini" in stage or "@own" in stage for stage in back.stages)
    assert (project.folder / "data/audio/own").is_dir()


@pytest.mark.slow
def test_the_documented_way_back_from_an_experiment_computes_nothing(project: Project) -> None:
    project.repro()
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    project.run("git", "add", "params.yaml", "dvc.lock")
    project.run("git", *author, "commit", "--message=before")
    before = (project.folder / "data/reports/index.html").read_bytes()
    away = project.run("dvc", "exp", "run", "-S", "use_corpora=[mini]")
    assert away.exit_code == 0, away.output
    assert (project.folder / "data/reports/index.html").read_bytes() != before
    (way,) = (block.text for block in find_blocks() if block.text.startswith("git restore"))
    assert project.run("bash", "-ec", way).exit_code == 0
    assert (project.folder / "data/reports/index.html").read_bytes() == before
    assert project.repro().stages == []
