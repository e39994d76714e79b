"""Ways to do the same work -> the seconds of each, as a table and as JSON."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

Value = str | int | float | None
Row = dict[str, Value]
WIDTH = 140


class Timing(NamedTuple):
    """Seconds of several runs of one way."""

    median: float
    lowest: float
    highest: float


def time_in_turns(
    ways: Mapping[str, Callable[[], object]], *, repeats: int, warm_up: bool = True
) -> dict[str, Timing]:
    """Run every way once in each round; an extra first round may be a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(-1 if warm_up else 0, repeats):
        for name, do in ways.items():
            start = time.perf_counter()
            do()
            if run >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {
        name: Timing(statistics.median(measured), min(measured), max(measured))
        for name, measured in seconds.items()
    }


def count_work(do: Callable[[object], object], item: object) -> float:
    """Return the seconds on a core of a call in this process."""
    start = time.process_time()
    do(item)
    return time.process_time() - start


def to_row(what: str, rate: float | None, unit: str, share: float | None = None) -> Row:
    """Return one line of a table of rates; a share is of the rate of a matrix product."""
    return {"what": what, "rate": rate, "unit": unit, "share of the matrix rate": share}


def show(name: str, title: str, rows: Sequence[Mapping[str, Value]], **facts: Value) -> None:
    """Print rows as a table, then everything as one line of JSON.

    Args:
        name: of the benchmark.
        title: of the table.
        rows: all with the same columns.
        facts: further values, such as the device.
    """
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    console = Console(width=WIDTH)
    console.print(table)
    for fact, value in facts.items():
        console.print(f"{fact.replace('_', ' ')}: {_shown(value)}", highlight=False)
    line = {"benchmark": name, "rows": [dict(row) for row in rows], **facts}
    console.out(json.dumps(line), highlight=False)


def _shown(value: Value) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        case int():
            return f"{value:,}"
        case _:
            return value
