"""Entries of a state dict -> entries that are known to fit a model."""

from collections.abc import Iterable, Mapping
from typing import Final

from torch import Tensor

from oragen.schema.errors import UserError

Shape = tuple[int, ...]

ANY_LENGTH: Final = -1
_SHOWN: Final = 8


def check_entries(
    title: str,
    entries: Mapping[str, Tensor],
    *,
    expected: Mapping[str, Shape],
    optional: Mapping[str, Shape],
    names_found: Mapping[str, str],
    remedy: str,
) -> None:
    """Refuse entries that are missing, unknown or of another shape.

    Args:
        title: what the entries should be, for the message.
        entries: by the names of today.
        expected: shapes of what must be there; `ANY_LENGTH` stands for any.
        optional: shapes of what may be there.
        names_found: names of today -> names as found.
        remedy: what to do, for the message.

    Raises:
        UserError: names the entries.
    """
    known = {**expected, **optional}
    misshapen = [
        f"{names_found[name]} (expected {_text(known[name])}, found {_text(tensor.shape)})"
        for name, tensor in entries.items()
        if name in known and not _fits(tuple(tensor.shape), known[name])
    ]
    problems = {
        "missing": [name for name in expected if name not in entries],
        "unknown": [names_found[name] for name in entries if name not in known],
        "of another shape": misshapen,
    }
    if any(problems.values()):
        told = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
        raise UserError(
            f"These {len(entries)} entries are not the state dict of {title}: {told}. {remedy}"
        )


def shapes(weights: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Return the shapes of entries by name."""
    return {name: tuple(weight.shape) for name, weight in weights.items()}


def _fits(shape: Shape, expected: Shape) -> bool:
    return len(shape) == len(expected) and all(
        length in {size, ANY_LENGTH} for size, length in zip(shape, expected, strict=True)
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _text(shape: Iterable[int]) -> str:
    return "x".join("any" if size == ANY_LENGTH else str(size) for size in shape) or "scalar"
