"""examples/first_steps.ipynb runs from its first cell to its last, on a project that has run."""

import json
from typing import Any

import pytest

from tests.project import REPOSITORY, Project, clone

NOTEBOOK = "examples/first_steps.ipynb"
# The code cells are plain Python, so no kernel is needed: they run one after the other in a process
# of their own, which starts where Jupyter would.
RUN = f"""
import json, os
os.environ["MPLBACKEND"] = "agg"
cells = json.load(open({NOTEBOOK!r}))["cells"]
os.chdir("examples")
scope = {{"__name__": "__main__"}}
for number, cell in enumerate(cells):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {{number}}", "exec"), scope)
found = {{
    "is_predicted": scope["prediction"].is_predicted,
    "epochs": len(scope["history"]),
    "scores": scope["scores"],
    "tables": sorted(scope["tables"]),
}}
print("FOUND", json.dumps(found))
"""


def read_cells() -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads((REPOSITORY / NOTEBOOK).read_text())["cells"]
    return cells


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has run on a small corpus, with encoders as they come."""
    project = clone(tmp_path_factory.mktemp("notebook"))
    studio = project.read_params()["corpora"]["studio"]
    project.change(
        use_corpora=["studio"],
        use_heads=["cross_attention"],
        encoders={"finetune": []},
        train={"corpora_of": {}, "seeds": [0], "max_epochs": 2, "patience": 2},
        report={"num_resamples": 100, "num_examples": 0},
        corpora={"studio": studio | {"num_speakers": 8}},
    )
    generated = project.run("oragen", "generate", "studio")
    assert generated.exit_code == 0, generated.output
    project.repro()
    return project


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(project: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in (project.folder / "data").rglob("*")}
    run = project.run("python", "-W", "error::FutureWarning", "-c", RUN)
    assert run.exit_code == 0, run.output
    found = json.loads(run.output.partition("FOUND ")[2])
    assert found["is_predicted"]
    assert found["epochs"] >= 1
    assert found["scores"]["clips"] >= 1
    assert {"methods_gender", "methods_age", "counts"} <= set(found["tables"])
    after = {path: path.stat().st_mtime_ns for path in (project.folder / "data").rglob("*")}
    assert before == after  # it says that it changes nothing


def test_the_notebook_is_stored_without_outputs() -> None:
    """What it shows is of the machine that it ran on."""
    for cell in read_cells():
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
