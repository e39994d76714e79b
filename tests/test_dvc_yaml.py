"""dvc.yaml, params.yaml, the code and the folders agree."""

import re
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from oragen.config.params import Params
from tests.project import REPOSITORY
from tests.stage_imports import build_stage_imports

STAGES: dict[str, dict[str, Any]] = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]


def commands() -> dict[str, dict[str, Any]]:
    """Stage -> its definition, whether or not it stands in a foreach."""
    return {name: stage.get("do", stage) for name, stage in STAGES.items()}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return build_stage_imports()


def modules_behind(path: str, graph: grimp.ImportGraph) -> set[str]:
    """A dependency of dvc.yaml -> the modules it holds."""
    module = path.removesuffix(".py").replace("/", ".")
    return {module, *graph.find_descendants(module)} if module in graph.modules else set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_modules_it_imports(stage: str, imports: grimp.ImportGraph) -> None:
    script = f"stages.{stage}"
    packages = {"oragen", "stages"}
    needed = {script, *imports.find_upstream_modules(script)} - packages
    deps = commands()[stage]["deps"]
    declared = set[str]().union(*(modules_behind(path, imports) for path in deps))
    assert sorted(needed - declared) == [], "add them to the stage's deps"
    unused = {module for module in declared - needed if not imports.find_children(module)}
    assert sorted(unused) == [], "the stage does not import them"


@pytest.mark.parametrize("stage", ["cut_windows", "make_examples", "make_datasets"])
def test_stages_of_tables_do_not_depend_on_how_parts_are_written(
    stage: str, imports: grimp.ImportGraph
) -> None:
    assert "oragen.store.formats" not in imports.find_upstream_modules(f"stages.{stage}")


@pytest.mark.parametrize(
    ("choice", "aware"),
    [
        ("face_detectors", {"settle_faces", "crop_faces"}),
        ("windows", {"cut_windows"}),
        ("sampling", {"train_head"}),
        ("protocols", {"train_head", "evaluate_head", "explain_head", "report"}),
    ],
)
def test_one_choice_more_runs_only_the_stages_again_that_know_it(
    choice: str, aware: set[str], imports: grimp.ImportGraph
) -> None:
    reached = imports.find_downstream_modules(f"oragen.schema.choices.{choice}")
    assert {stage for stage in STAGES if f"stages.{stage}" in reached} == aware


def test_stages_and_scripts_have_the_same_names() -> None:
    scripts = {path.stem for path in (REPOSITORY / "stages").glob("*.py")}
    shared = {"__init__", "extracting", "launching", "running", "shard", "sharing", "sharing_seeds"}
    assert scripts - shared == set(STAGES)
    for name, stage in commands().items():
        assert stage["cmd"] == f"python -m stages.{name}"  # no name from params.yaml in a shell


def test_stages_with_a_name_in_their_outputs_wait_for_the_check_of_names() -> None:
    for name, stage in STAGES.items():
        if "foreach" in stage or "${" in yaml.safe_dump(stage.get("outs")):
            assert "data/params/checked.txt" in stage.get("do", stage)["deps"], name


def test_the_check_of_names_runs_when_a_name_in_use_changes() -> None:
    used = set(re.findall(r"\$\{([^}\[]+)", (REPOSITORY / "dvc.yaml").read_text())) - {"item"}
    assert set(STAGES["check_params"]["params"]) == used


def test_params_sections_are_the_fields_of_the_configuration() -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    assert list(params) == list(Params.model_fields)


@pytest.mark.parametrize("stage", STAGES)
def test_params_of_a_stage_exist(stage: str) -> None:
    for param in commands()[stage].get("params", []):
        section = param.partition(".")[0]
        assert section in Params.model_fields


def test_what_decides_no_result_triggers_no_stage() -> None:
    used = {param for stage in commands().values() for param in stage.get("params", [])}
    assert not {param for param in used if param.startswith("execution")}


def test_every_stage_of_a_corpus_says_what_it_skipped() -> None:
    for name, stage in STAGES.items():
        if stage.get("foreach") == "${use_corpora}":
            outs = [
                next(iter(out)) if isinstance(out, dict) else out for out in stage["do"]["outs"]
            ]
            assert f"data/skipped/${{item}}/{name}.parquet" in outs


def test_every_folder_of_data_is_explained() -> None:
    explained = (REPOSITORY / "data" / "README.md").read_text()
    outs = [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in commands().values()
        for out in [*stage["outs"], *stage.get("metrics", [])]
    ]
    for folder in {Path(out).parts[1] for out in outs}:
        assert f"`{folder}/" in explained, folder
