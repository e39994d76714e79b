"""`oragen convert` or another command as a user types it."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from oragen.cli import run


class Ended(NamedTuple):
    """How the command ended."""

    exit_code: int
    output: str


Convert = Callable[..., Ended]


def type_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str = "convert"
) -> Convert:
    """Return the command as a function of what is typed behind it."""

    def type_in(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["oragen", command, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out + captured.err)

    return type_in
