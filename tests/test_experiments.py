"""Experiments in a copy, and a project without Git: by real DVC, as docs/pipeline.md says."""

import os
import shutil
from pathlib import Path

import pytest

from tests.project import Project, clone


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone with a corpus of one broken clip, which is enough to be listed."""
    folder = tmp_path_factory.mktemp("experiments") / "project"
    folder.mkdir()
    project = clone(folder, warm=True)
    project.change(
        use_corpora=["own"], corpora={"own": {"reader": "csv", "root": "data/corpora/own"}}
    )
    (folder / "data" / "corpora" / "own").mkdir(parents=True)
    (folder / "data" / "corpora" / "own" / "a.wav").write_bytes(bytes(100))
    project.write_labels("own", [{"media": "a.wav", "speaker_id": "a", "split": "train"}])
    return project


@pytest.fixture(autouse=True)
def author(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setitem(os.environ, f"GIT_{role}_NAME", "test")
        monkeypatch.setitem(os.environ, f"GIT_{role}_EMAIL", "test@example.com")


@pytest.mark.slow
def test_an_experiment_in_a_copy_finds_the_corpora_that_are_named(project: Project) -> None:
    command = ("dvc", "exp", "run", "--temp", "-S", "windows.hop_s=1")
    without = project.run(*command, "index_clips@own")
    assert without.exit_code != 0
    assert "data/corpora/own" in without.output
    run = project.run(*command, "--copy-paths", "data/corpora", "index_clips@own")
    assert run.exit_code == 0, run.output
    assert "Ran experiment(s)" in run.output


@pytest.mark.slow
def test_a_project_without_git_says_so_and_runs_when_dvc_is_told(
    project: Project, tmp_path: Path
) -> None:
    shutil.copytree(
        project.folder, tmp_path / "unpacked", ignore=shutil.ignore_patterns(".git", "tmp")
    )
    unpacked = Project(tmp_path / "unpacked", warm=True)
    assert "is not a git repository" in unpacked.run("dvc", "repro", "index_clips@own").output
    assert "Run `git init`" in " ".join(unpacked.run("oragen", "doctor", "--json").output.split())
    assert unpacked.run("dvc", "config", "--local", "core.no_scm", "true").exit_code == 0
    unpacked.repro("index_clips@own")
    assert (unpacked.folder / "data" / "clips" / "own.parquet").is_file()
