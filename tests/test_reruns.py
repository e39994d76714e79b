"""An edit of one module -> the stages that DVC runs again: those that need it, and no others."""

import re
from pathlib import Path
from typing import Any, Final

import grimp
import pytest
import yaml

from tests.project import REPOSITORY
from tests.stage_imports import build_stage_imports

STAGES: Final[dict[str, dict[str, Any]]] = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())[
    "stages"
]
COMMANDS: Final[dict[str, dict[str, Any]]] = {
    name: stage.get("do", stage) for name, stage in STAGES.items()
}
NOTE: Final = Path("data/params/checked.txt")
# Module -> the stages that an edit of it must run again.
STAGES_OF: Final = {
    "oragen.training.losses": {"finetune_encoder", "train_head"},
    "oragen.features.table": {"make_datasets"},
    "oragen.detection.windows": {"cut_windows"},
}


# Rows of that table -> the parameters, and stages that follow but find nothing changed.
ROWS: Final = {
    "one of `heads`": (["heads.${item}"], set()),
    "one more in `use_heads`": (["use_heads"], set()),
    "`train` or `protocol`": (["train", "protocol"], set()),
    "`evaluate`": (["evaluate"], {"train_head"}),
    "`report`": (["report"], set()),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_docs_name_the_stages_that_a_parameter_runs_again(row: str) -> None:
    page = (REPOSITORY / "docs" / "pipeline.md").read_text(encoding="utf-8")
    table = page.partition("## What runs again")[2]
    (line,) = (line for line in table.splitlines() if line.startswith(f"| {row} |"))
    named = set(re.findall(r"`(\w+)`", line.split("|")[2])) & set(STAGES)
    params, unchanged = ROWS[row]
    reading = {name for name, stage in COMMANDS.items() if reads(stage, params)}
    assert named == reading | find_followers(reading) - unchanged


def reads(stage: dict[str, Any], params: list[str]) -> bool:
    """Whether a stage depends on a parameter, on one in it, or on the section it is in."""
    return any(
        f"{read}.".startswith(f"{param}.") or f"{param}.".startswith(f"{read}.")
        for read in stage.get("params", [])
        for param in params
    )


def find_followers(stages: set[str]) -> set[str]:
    """Return the stages after these; the note that names are valid has always the same content."""
    outs = {place(out) for name in stages for out in COMMANDS[name]["outs"]} - {NOTE}
    followers = {
        name
        for name, stage in COMMANDS.items()
        for dep in map(place, stage["deps"])
        if any(is_part_of(out, str(dep)) or is_part_of(dep, str(out)) for out in outs)
    } - stages
    return followers | find_followers(followers) if followers else set()


def place(path: str | dict[str, Any]) -> Path:
    """Return a path of dvc.yaml with a star for each name in it; an output may have options."""
    return Path(re.sub(r"\$\{.+?\}", "*", path if isinstance(path, str) else next(iter(path))))


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return build_stage_imports()


@pytest.mark.parametrize("module", STAGES_OF)
def test_a_module_is_imported_by_no_more_stages_than_need_it(
    module: str, imports: grimp.ImportGraph
) -> None:
    importing = {
        stage
        for stage in STAGES
        if imports.chain_exists(importer=f"stages.{stage}", imported=module)
    }
    assert importing == STAGES_OF[module]


@pytest.mark.parametrize("module", STAGES_OF)
def test_an_edit_of_a_module_runs_no_more_stages_than_need_it(module: str) -> None:
    path = Path(module.replace(".", "/")).with_suffix(".py")
    assert (REPOSITORY / path).is_file()
    depending = {
        name
        for name, stage in STAGES.items()
        if any(is_part_of(path, dep) for dep in stage.get("do", stage)["deps"])
    }
    assert depending == STAGES_OF[module]


def is_part_of(path: Path, dep: str) -> bool:
    """Whether a dep is this file, or a folder that holds it."""
    return path == Path(dep) or Path(dep) in path.parents
