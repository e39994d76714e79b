"""The record of one figure: its PNG, and what it shows in words."""

from pathlib import Path
from typing import NamedTuple


class Figure(NamedTuple):
    """A PNG, and what it shows in words."""

    path: Path
    alt: str  # for a reader who cannot see it
    caption: str = ""
    section: str = ""  # of the page, whose tables it belongs to
