"""An edit of one module -> the stages that DVC runs again: those that need it, and no others."""

from pathlib import Path
from typing import Any, Final

import grimp
import pytest
import yaml

from tests.project import REPOSITORY

STAGES: Final[dict[str, dict[str, Any]]] = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())[
    "stages"
]
# Module -> the stages that an edit of it must run again.
STAGES_OF: Final = {
    "oragen.training.losses": {"finetune_encoder", "train_head"},
    "oragen.features.table": {"make_datasets"},
    "oragen.detection.windows": {"cut_windows"},
}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("oragen", "stages")


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
