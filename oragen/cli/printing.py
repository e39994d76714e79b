"""Tables -> the terminal."""

import shutil

from rich.console import Console
from rich.table import Table


def print_table(table: Table) -> None:
    """Print a table wide enough for names."""
    wide_console().print(table)


def wide_console() -> Console:
    """Return a console that is wide enough for tables, also where the output is no terminal."""
    return Console(width=max(shutil.get_terminal_size().columns, 140))
