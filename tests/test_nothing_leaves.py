"""Predictions, stages and checks without a network: no look-up, and no file where none is expected.

They run in a network namespace without a way out and with an empty home folder, and strace names
the files that they open for writing, and what they ask of the network.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

import oragen
from tests.project import REPOSITORY, Project, Run
from tests.template_project import Template

ALONE: Final = ("unshare", "--map-root-user", "--net")
TRACE: Final = ("strace", "-f", "--seccomp-bpf", "-y", "-e", "trace=network,openat,creat,mkdir")
OUTWARD: Final = re.compile(r"AF_INET|/etc/resolv\.conf|/etc/hosts")
WRITTEN: Final = re.compile(r"(?:O_CREAT|O_WRONLY|O_RDWR|mkdir).*= \d+(?:<([^>]+)>)?$")
# docs/pipeline.md names them.
CACHES: Final = ("/var/tmp/dvc/", "/dev/", "/proc/")


@dataclass(frozen=True)
class Alone:
    """A project whose commands run without a network, in a home of their own."""

    project: Project
    home: Path
    trace: Path

    def run(self, *command: str) -> Run:
        """Run a command, traced."""
        environment = os.environ | {
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.project.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for name in (*oragen.SILENT, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
            environment.pop(name, None)
        done = subprocess.run(
            [*ALONE, *TRACE, "-o", str(self.trace), *command], check=False, env=environment,
            cwd=self.project.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Run(done.stdout, done.returncode)

    def asked(self) -> list[str]:
        """Return the calls that look for another machine."""
        return [line for line in self.trace.read_text().splitlines() if OUTWARD.search(line)]

    def written(self) -> set[str]:
        """Return the files outside the project and the home that were opened for writing."""
        found = map(WRITTEN.search, self.trace.read_text().splitlines())
        paths = {match[1] for match in found if match and match[1]}
        inside = (f"{self.project.folder}/", f"{self.home}/", *CACHES)
        return {path for path in paths if not path.startswith(inside)}

    def in_home(self) -> set[str]:
        """Return the files that were written to the home folder."""
        paths = (path for path in self.home.rglob("*") if path.is_file())
        return {str(path.relative_to(self.home)) for path in paths}


@pytest.fixture(scope="module")
def alone(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Alone]:
    """Make a copy of the project; skip where the kernel gives no namespace, or strace is away."""
    if shutil.which("strace") is None or shutil.which("unshare") is None:
        pytest.skip("needs strace and unshare")
    try_out = [*ALONE, *TRACE, "-o", os.devnull, "true"]
    if subprocess.run(try_out, capture_output=True, check=False).returncode:
        pytest.skip("the kernel allows no network namespace, or no tracing in one")
    folder = tmp_path_factory.mktemp("alone")
    project = template.copy(folder / "project")

    def make() -> Alone:
        home = tmp_path_factory.mktemp("home")
        (home / "tmp").mkdir()
        return Alone(project, home, home.with_suffix(".trace"))

    return make


def expect_silence(alone: Alone) -> None:
    assert alone.asked() == []
    assert alone.written() == set()
    fonts = {path for path in alone.in_home() if path.startswith(".cache/matplotlib/fontlist")}
    assert alone.in_home() == fonts


@pytest.mark.slow
def test_a_prediction_asks_no_other_machine(alone: Callable[[], Alone]) -> None:
    own = alone()
    clip = next(own.project.folder.glob("data/corpora/mini/**/*.mp4"))
    run = own.run("oragen", "predict", str(clip), "--output", "made.csv", "--plot", "made.png")
    assert run.exit_code == 0, run.output
    assert (own.project.folder / "made.png").is_file()
    expect_silence(own)


def test_the_checks_of_a_project_ask_no_other_machine(alone: Callable[[], Alone]) -> None:
    own = alone()
    run = own.run("oragen", "doctor")
    assert run.exit_code == 0, run.output
    expect_silence(own)


@pytest.mark.slow
def test_a_pipeline_asks_no_other_machine(alone: Callable[[], Alone]) -> None:
    own = alone()
    run = own.run("dvc", "repro", "--force")
    assert run.exit_code == 0, run.output
    expect_silence(own)


def test_a_library_that_was_loaded_too_early_is_named() -> None:
    code = "import sys; sys.modules['onnxruntime'] = sys; import oragen"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True,
        env={name: text for name, text in os.environ.items() if name not in oragen.SILENT},
    )  # fmt: skip
    assert "Import oragen first" in run.stderr


def test_dvc_is_told_to_send_nothing() -> None:
    config = (REPOSITORY / ".dvc" / "config").read_text()
    assert "analytics = false" in config
    assert "check_update = false" in config
