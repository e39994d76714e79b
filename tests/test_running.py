"""What every stage does around its work."""

import ctypes
import sys

import pytest

from stages.running import keep_freed_memory


def test_where_there_is_no_glibc_the_allocator_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: object) -> None:
        raise TypeError(f"{name} is no library")  # as on Windows

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(sys, "platform", "win32")
    keep_freed_memory()
