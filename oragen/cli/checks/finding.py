"""One thing that was checked -> a line of the report."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["ok", "warning", "problem"]
STATES: Final[tuple[State, ...]] = ("ok", "warning", "problem")
INSTALL: Final = "pip install -e . -c constraints.txt"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    name: str
    state: State
    found: str
    advice: str = ""


def has_problem(findings: Collection[Finding]) -> bool:
    """Return whether something cannot work as it is."""
    return any(finding.state == "problem" for finding in findings)
