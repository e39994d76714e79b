"""Work for workers that needs no corpus: each key of a plan becomes a file, and some keys kill."""

import os
import signal
from pathlib import Path

import pandas as pd

from oragen.launch.plans import Plan, PlannedRow, read_plan, tabulate, write_plan
from oragen.launch.shards import Call, Result
from oragen.schema.errors import UserError

MADE = "made"
TRIED = "tried"


def plan_keys(folder: Path, *groups: str, unit: int = 1) -> tuple[Plan, Call]:
    """Write a plan whose keys are letters; return it, and the call of a worker without groups."""
    rows = [[PlannedRow(key, f"clip of {key}") for key in group] for group in groups]
    table = tabulate(rows) if groups else pd.DataFrame(columns=["group", "key", "clip_id", "lacks"])
    plan = Plan("letters", "abc", "question", unit, table)
    return plan, Call(str(folder), "letters", "abc", write_plan(folder, plan))


def make_letters(call: Call) -> Result:
    """Make a file of each key.

    The key `x` kills its worker, `o` does so the first time, and `?` and `!` raise errors.
    """
    folder = Path(call.project)
    plan = read_plan(folder, call.plan)
    made = []
    for group in call.groups:
        for row in plan.rows(group, call.start, call.stop):
            with (folder / TRIED).open("a") as tried:
                tried.write(row.key)
            if row.key == "x" or (row.key == "o" and not (folder / "once").exists()):
                (folder / "once").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if row.key == "!":
                raise UserError("The disk is full.")
            if row.key == "?":
                raise RuntimeError("a mistake of ours")
            (folder / f"{row.key}.made").write_text(row.key)
            made.append(row.key)
    return Result(len(made), tuple(made))
