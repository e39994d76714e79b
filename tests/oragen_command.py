"""`oragen` as a user types it, and what it prints."""

import os
import subprocess
import sys
from pathlib import Path

from tests import warm_interpreter
from tests.project import REPOSITORY, Run


def oragen(folder: Path, *arguments: str, warm: bool = True) -> Run:
    """Run the command in a folder; if not `warm`, the one that is installed."""
    scripts = warm_interpreter.start() if warm else Path(sys.executable).parent
    done = subprocess.run(
        [str(scripts / "oragen"), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(done.stdout, done.returncode)


def words(run: Run) -> list[list[str]]:
    """The cells of all lines of the printed tables."""
    return [
        [cell.strip() for cell in line.strip("│ ").split("│")]
        for line in run.output.splitlines()
        if "│" in line
    ]
