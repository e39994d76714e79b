"""Modules that people start -> seconds of their imports, and the libraries that these load.

Each module is imported by interpreters of its own, in turns. Python says by `-X importtime` what
each library takes by itself and with what it loads first.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.measuring import Row, show, time_in_turns

ROOT: Final = Path(__file__).parents[1]
SHARED: Final = ("extracting", "running")  # by stages; nobody starts these
COMMANDS: Final = ("oragen", "oragen.cli", "oragen.predictor")
LINE: Final = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|( +)(\S+)")
MOST_NAMED: Final = 4


def main(
    modules: Annotated[list[str] | None, typer.Argument(help="All stages and commands.")] = None,
    repeats: Annotated[int, typer.Option(help="Starts of each, in turns.")] = 5,
) -> None:
    """Time the imports of each module."""
    names = modules or [*list_stages(), *COMMANDS]
    ways = {"python": partial(start, "pass")} | {
        name: partial(start, f"import {name}") for name in names
    }
    timings = time_in_turns(ways, repeats=repeats)
    bare_s = timings["python"].median
    rows: list[Row] = [
        {"module": name, "seconds": timing.median - bare_s, "lowest": timing.lowest - bare_s,
         "libraries that take longest, ms": "" if name == "python" else name_slowest(name)}
        for name, timing in timings.items()
    ]  # fmt: skip
    show("starts", "Seconds of imports, beyond the start of Python", rows, python_s=bare_s)


def list_stages() -> list[str]:
    """Return the modules of all stages."""
    found = sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py"))
    return [f"stages.{name}" for name in found if name not in SHARED]


def start(code: str, *options: str) -> str:
    """Run an interpreter; return what it says on stderr."""
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stderr


def name_slowest(module: str) -> str:
    """Return the libraries with the longest imports of their own."""
    ms = own_ms(start(f"import {module}", "-X", "importtime").splitlines())
    slowest = sorted(ms, key=ms.__getitem__, reverse=True)[:MOST_NAMED]
    return ", ".join(f"{name} {ms[name]:.0f}" for name in slowest)


def own_ms(lines: Sequence[str]) -> dict[str, float]:
    """Lines of `-X importtime` -> milliseconds of all modules of each package by themselves."""
    ms: dict[str, float] = {}
    for own_us, _, _, name in (found.groups() for found in map(LINE.match, lines) if found):
        package = name.partition(".")[0]
        ms[package] = ms.get(package, 0) + int(own_us) / 1000
    return ms


if __name__ == "__main__":
    typer.run(main)
