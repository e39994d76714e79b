"""A clone of this project in a temporary folder, to run real commands in."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests import warm_interpreter

REPOSITORY = Path(__file__).parents[1]
LABELS = ("media", "speaker_id", "gender", "age_years", "mask_type", "split")


@dataclass(frozen=True)
class Run:
    """What a command printed."""

    output: str
    exit_code: int

    @property
    def stages(self) -> list[str]:
        """The stages that DVC ran, in order."""
        return re.findall(r"Running stage '([^']+)'", self.output)

    def line_of(self, stage: str) -> str:
        """Return the line of account of a stage, e.g. `decode_audio mini`."""
        return next(line for line in self.output.splitlines() if line.startswith(f"{stage}:"))


@dataclass(frozen=True)
class Project:
    """A clone with its own parameters."""

    folder: Path

    warm: bool = False  # commands are run by forks of one interpreter, see warm_interpreter.py

    def run(self, *command: str) -> Run:
        """Run a command of this environment inside the clone."""
        first_in_path = [warm_interpreter.start()] if self.warm else []
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with self.start(*command, first_in_path=first_in_path, **pipes) as process:
            output, _ = process.communicate()
        return Run(output.replace("\r", "\n"), process.returncode)

    def start(
        self, *command: str, first_in_path: Sequence[Path] = (), **options: Any
    ) -> "subprocess.Popen[str]":
        """Start a command of this environment inside the clone, in an interpreter of its own."""
        folders = (*first_in_path, Path(sys.executable).parent, os.environ["PATH"])
        environment = os.environ | {
            "PATH": os.pathsep.join(map(str, folders)),
            "PYTHONPATH": str(self.folder),
            "NO_COLOR": "1",
        }
        executable = shutil.which(command[0], path=environment["PATH"])
        return subprocess.Popen(
            command, executable=executable, cwd=self.folder, env=environment, text=True, **options
        )

    def repro(self, *targets: str) -> Run:
        """Run `dvc repro`, which must end well."""
        run = self.run("dvc", "repro", *targets)
        assert run.exit_code == 0, run.output
        return run

    def read_params(self) -> dict[str, Any]:
        """Return params.yaml."""
        params: dict[str, Any] = yaml.safe_load((self.folder / "params.yaml").read_text())
        return params

    def change(self, **sections: dict[str, Any] | list[str] | str) -> None:
        """Change parameters: a section is updated, a list or a word replaced."""
        params = self.read_params()
        for name, value in sections.items():
            params[name] = {**params[name], **value} if isinstance(value, dict) else value
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def write_labels(self, corpus: str, rows: list[dict[str, Any]]) -> None:
        """Write the table of a corpus that the `csv` reader reads."""
        path = self.folder / "data" / "corpora" / corpus / "labels.csv"
        with path.open("w", newline="") as file:
            names = dict.fromkeys([*LABELS, *(name for row in rows for name in row)])
            writer = csv.DictWriter(file, list(names), restval="")
            writer.writeheader()
            writer.writerows(rows)


def tune_briefly(project: Project, **settings: Any) -> dict[str, Any]:
    """Return the section `encoders` with fine-tunings of one epoch, and these settings."""
    encoders: dict[str, Any] = project.read_params()["encoders"]
    encoders["finetune"] = ["tiny-wav2vec2", "tiny-vit"]
    for entry in encoders["catalogue"].values():
        if "finetuning" in entry:
            entry["finetuning"] |= {"max_epochs": 1, **settings}
    return encoders


def clone(folder: Path, *, warm: bool = False) -> Project:
    """Copy what Git knows of, or would take, into a new repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        source = REPOSITORY / name
        if source.is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=clone"]):
        subprocess.run(["git", *author, *command], cwd=folder, check=True)
    project = Project(folder, warm)
    if warm:  # a process for each core costs more than a dozen clips do
        project.change(execution={"num_workers": 1})
    return project
