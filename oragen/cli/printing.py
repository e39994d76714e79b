"""Tables -> the terminal."""

import shutil

from rich.console import Console
from rich.table import Table


def print_table(table: Table) -> None:
    """Print a table wide enough for names, also where the output is no terminal."""
    Console(width=max(shutil.get_terminal_size().columns, 140)).print(table)
