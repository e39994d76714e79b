"""The wheel, installed outside the repository -> answers about a clip."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from tests.project import REPOSITORY, Run
from tests.serving import serve
from tests.small_models import write_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as pip does, which fetches setuptools where the index is, as set-up did."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_source(folder / "source")  # setuptools writes into the folder that it builds from
    run_outside(folder, sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", str(source))
    (built,) = folder.glob("oragen-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own; return the folder of its commands.

    All that it needs is 6 GB, which are here already: the environment finds them by a .pth file,
    after what is its own. The editable installation of this project is not found so, because .pth
    files count in site-packages alone.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    present = sysconfig.get_paths()["purelib"]
    (Path(paths["purelib"]) / "present.pth").write_text(f"{present}\n")
    python = Path(paths["scripts"]) / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    run_outside(folder, *pip, "install", "--no-deps", "--ignore-installed", "--quiet", str(wheel))
    return Path(paths["scripts"])


def copy_source(folder: Path) -> Path:
    """Copy what the wheel is made of."""
    for name in list_files("oragen", "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    return folder


def list_files(*where: str) -> list[str]:
    """Name the files that Git knows of, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *where],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file()]


def run_outside(folder: Path, *command: str) -> Run:
    """Run a command that must end well where nothing of the repository is on any path."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME"}
    }
    done = subprocess.run(
        command, cwd=folder, env=environment | {"NO_COLOR": "1"}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return Run(done.stdout, done.returncode)


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: Path) -> None:
    """Templates, style sheets and py.typed too; neither stages nor tests."""
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == set(list_files("oragen"))
    assert "oragen/py.typed" in names


def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    found = run_outside(
        tmp_path, str(installed / "python"), "-c",
        "import importlib.util as u, oragen; print(oragen.__file__, u.find_spec('stages'))",
    ).output.split()  # fmt: skip
    assert Path(found[0]).is_relative_to(installed.parent)
    assert found[1] == "None"


def test_it_packs_a_model_and_predicts_with_it_outside_the_repository(
    installed: Path, tmp_path: Path
) -> None:
    write_clip(plan_clips(CorpusSpec("studio", 6, 1))[0], tmp_path / "clip.mp4")
    write_model(tmp_path / "head")
    oragen = str(installed / "oragen")
    run_outside(tmp_path, oragen, "pack", "head", "packed")
    run_outside(
        tmp_path, oragen, "predict", "clip.mp4", "--model", "packed", "--output", "answer.json"
    )
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["status"] == "ok"
    assert all(modality["usable"] for modality in answer["modalities"].values())
    assert answer["model"]["head"] == "cross_attention"


def test_it_serves_its_pages_outside_the_repository(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Style sheets, texts and the schema are files of the wheel."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    model, command = write_model(tmp_path / "head"), (str(installed / "oragen"),)
    with serve(model, tmp_path / "spool", command=command) as served:
        page = served.ask("GET", "/").text
        loaded = re.findall(r'(?:src|href)="([^"#]+)"', page)
        for path in [*loaded, "static/texts/ru.json", "openapi.json", "docs/start.js"]:
            assert served.ask("GET", f"/{path}").status_code == 200, path
    assert "static/page.js" in loaded
