"""A folder -> the Git commit that it is at, and what has been changed since."""

import os
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

DECIDING: Final = ("params.yaml", "dvc.yaml", "oragen", "stages")  # what results follow from
MAX_NAMES: Final = 3
TIMEOUT_S: Final = 20
NOT_KNOWN: Final = "not known: the project is not in a Git repository"


class Commit(NamedTuple):
    """A commit, and the deciding files that differ from it."""

    digest: str  # its first ten digits
    date: str  # on which it was made, as 2026-11-26
    changed: list[str]


def read_commit(folder: Path) -> Commit | None:
    """Return the commit of a project; None without Git, or where Git does not have the project.

    A ZIP file that was unpacked inside another repository is not of that repository.
    """
    tracked = _run_git(folder, "ls-files", "--", "params.yaml")
    newest = _run_git(folder, "log", "-1", "--no-show-signature", "--abbrev=10", "--format=%h %cs")
    changed = _run_git(
        folder, "diff", "--name-only", "--relative", "--no-ext-diff", "HEAD", "--", *DECIDING
    )
    if not tracked or not newest or changed is None:
        return None
    digest, date = newest.split()
    return Commit(digest, date, changed.splitlines())


def describe_commit(commit: Commit | None) -> str:
    """Write such as `1c66188cab of 2026-11-26, with changes to params.yaml`."""
    if commit is None:
        return NOT_KNOWN
    text = f"{commit.digest} of {commit.date}"
    if not commit.changed:
        return text
    names = ", ".join(commit.changed[:MAX_NAMES])
    more = len(commit.changed) - MAX_NAMES
    return f"{text}, with changes to {names}" + (f" and {more} more" if more > 0 else "")


def _run_git(folder: Path, *arguments: str) -> str | None:
    """Return what Git says, None if it fails. It watches no files, and writes nothing."""
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
