"""A colleague fetches the parts that one head needs, trains it, and gets the same scores."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

from oragen.features.places import PLACES
from tests.project import Project
from tests.template_project import Template

pytestmark = pytest.mark.slow  # whole pipelines

HEAD = "cross_attention"


def commit(project: Project) -> None:
    """Commit everything to Git, and push it to the remote of DVC."""
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    run(project, "git", "add", "--all")
    run(project, "git", *author, "commit", "--quiet", "--message=a run")
    run(project, "dvc", "push", "--remote=team")


def clone_of(project: Project, folder: Path) -> Project:
    """Clone a project without its data."""
    subprocess.run(["git", "clone", "--quiet", str(project.folder), str(folder)], check=True)
    return Project(folder, warm=True)


def run(project: Project, *command: str) -> str:
    """Run a command that must end well."""
    done = project.run(*command)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def anna(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was run and pushed; its heads are trained on `mini` alone."""
    project = template.copy(tmp_path_factory.mktemp("anna"))
    run(project, "dvc", "remote", "add", "team", str(tmp_path_factory.mktemp("remote")))
    commit(project)
    return project


@pytest.fixture(scope="module")
def ben(tmp_path_factory: pytest.TempPathFactory, anna: Project) -> Project:
    """A clone without any data."""
    return clone_of(anna, tmp_path_factory.mktemp("ben"))


@pytest.fixture(scope="module")
def refused(ben: Project) -> str:
    """What training says when it has the datasets and no features."""
    tables = (f"data/datasets/train/{HEAD}.parquet", f"data/datasets/train/{HEAD}.json")
    notes = ("data/params/checked.txt", "data/params/faces.json")
    places = [f"data/places/mini/{kind}.parquet" for kind in ("audio", "face")]
    run(ben, "dvc", "pull", "--remote=team", *tables, *notes, *places)
    done = ben.run("dvc", "repro", "--single-item", f"train_head@{HEAD}")
    assert done.exit_code != 0
    return done.output


@pytest.fixture(scope="module")
def fetched(ben: Project, refused: str) -> str:
    """What the first fetch prints."""
    return run(ben, "oragen", "cache", "fetch", f"--head={HEAD}", "--remote=team")


@pytest.fixture(scope="module")
def scored(ben: Project, fetched: str) -> Project:
    """Ben's project after training, and after scoring with what that needs."""
    run(ben, "dvc", "repro", "--single-item", f"train_head@{HEAD}")
    trained = heads_of(ben)
    fetch = ("oragen", "cache", "fetch", f"--head={HEAD}", "--evaluation", "--remote=team")
    run(ben, *fetch)
    assert heads_of(ben) == trained
    run(ben, "dvc", "repro", "--single-item", f"evaluate_head@{HEAD}")
    return ben


def parts_of(project: Project, corpus: str) -> set[str]:
    """The parts of features of a corpus."""
    folder = project.folder / "data" / "features" / corpus
    return {str(part.relative_to(folder)) for part in folder.glob("*/part-*.zarr")}


def heads_of(project: Project) -> dict[Path, bytes]:
    folder = project.folder / "data" / "heads" / HEAD
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix == ".safetensors"
    }


def test_training_without_features_names_the_parts_and_the_command(refused: str) -> None:
    words = " ".join(refused.split())
    assert "parts that hold the features are not here: data/features/mini/" in words
    assert f"`oragen cache fetch --head {HEAD}`" in words


def test_only_what_the_head_needs_is_fetched(anna: Project, ben: Project, fetched: str) -> None:
    assert parts_of(anna, "own")
    assert "parts are needed" in fetched
    folder = ben.folder / "data"
    assert {path.name for path in (folder / "features").iterdir()} == {"mini"}
    assert parts_of(ben, "mini") == parts_of(anna, "mini")
    made = {path.name for path in folder.iterdir()} - {"README.md", "cache", "encoders"}
    assert made == {"datasets", "features", "params", "places"}


def test_a_second_fetch_brings_nothing(ben: Project, fetched: str) -> None:
    again = run(ben, "oragen", "cache", "fetch", f"--head={HEAD}", "--remote=team")
    assert " 0 of them were fetched" in " ".join(again.split())


def test_a_part_that_is_not_whole_is_fetched_again(ben: Project, fetched: str) -> None:
    """As after a kill in the middle of it."""
    part = next(ben.folder.glob("data/features/mini/*/part-*.zarr"))
    (part / "rows" / "zarr.json").unlink()
    again = run(ben, "oragen", "cache", "fetch", f"--head={HEAD}", "--remote=team")
    assert " 1 of them were fetched" in " ".join(again.split())
    assert (part / "rows" / "zarr.json").is_file()


def test_what_is_trained_on_fetched_parts_has_the_same_weights_and_scores(
    anna: Project, scored: Project
) -> None:
    assert heads_of(scored) == heads_of(anna)
    tables = [
        pd.read_parquet(project.folder / "data" / "predictions" / f"{HEAD}.parquet")
        for project in (anna, scored)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_all_of_a_corpus_can_be_fetched(anna: Project, scored: Project) -> None:
    run(scored, "oragen", "cache", "fetch", "--corpora=own", "--remote=team")
    assert parts_of(scored, "own") == parts_of(anna, "own")
    assert "0 damaged" in run(scored, "oragen", "cache", "verify")


def test_an_unknown_remote_is_refused_in_a_sentence(ben: Project) -> None:
    done = ben.run("oragen", "cache", "fetch", f"--head={HEAD}", "--remote=nowhere")
    assert done.exit_code != 0
    assert "dvc remote list" in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_tables_that_name_parts_from_before_let_all_of_the_store_be_fetched(
    anna: Project, scored: Project, tmp_path: Path
) -> None:
    """As those of a colleague who compacted and committed with an earlier version."""
    path = anna.folder / "data" / "places" / "mini" / "audio.parquet"
    PLACES.write(path, PLACES.read(path).assign(part=f"part-{'0' * 32}.zarr"))
    run(anna, "dvc", "commit", "--force", "extract_audio_features@mini")
    commit(anna)
    carl = clone_of(anna, tmp_path / "carl")
    printed = run(carl, "oragen", "cache", "fetch", f"--head={HEAD}", "--remote=team")
    assert "1 stores come whole" in " ".join(printed.split())
    assert parts_of(carl, "mini") == parts_of(anna, "mini")
    assert parts_of(carl, "own") == set()


def test_clips_that_nobody_measured_are_scored_all_the_same(
    anna: Project, scored: Project, tmp_path: Path
) -> None:
    """As those of a project that ran with an earlier version."""
    dora = clone_of(anna, tmp_path / "dora")
    lock = dora.folder / "dvc.lock"
    known = yaml.safe_load(lock.read_text())
    for corpus in ("mini", "own"):
        del known["stages"][f"measure_quality@{corpus}"]
    lock.write_text(yaml.safe_dump(known, sort_keys=False))
    fetch = ("oragen", "cache", "fetch", f"--head={HEAD}", "--evaluation", "--remote=team")
    assert "measures of quality could not be brought" in " ".join(run(dora, *fetch).split())
    run(dora, "dvc", "pull", "--remote=team", f"data/heads/{HEAD}")
    run(dora, "dvc", "repro", "--single-item", f"evaluate_head@{HEAD}")
    predictions = pd.read_parquet(dora.folder / "data" / "predictions" / f"{HEAD}.parquet")
    assert predictions["sharpness"].isna().all()
    assert predictions["predicted_gender"].notna().any()
