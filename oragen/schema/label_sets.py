"""A set of labels <-> one text, as tables of predictions hold it."""

from collections.abc import Iterable
from typing import Final

_SEPARATOR: Final = ", "


def join_label_set(labels: Iterable[str]) -> str:
    """Write the labels one after the other."""
    return _SEPARATOR.join(labels)


def split_label_set(text: str) -> tuple[str, ...]:
    """Return the labels in their order."""
    return tuple(text.split(_SEPARATOR))
