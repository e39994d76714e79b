"""A state dict -> the same state dict, known to fit a model; or an error that names the misfits.

Names in saved files: an attribute that holds weights is a name in every state dict that was saved.
So `summary` (a pooling) and `decisions` (output layers) keep these names, whatever their classes
are called.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from torch import Tensor

from oragen.schema.errors import UserError
from oragen.schema.strict_json import shorten

Shape = tuple[int, ...]

ANY_LENGTH: Final = -1
_MAX_LISTED: Final = 8


def check_state_dict(
    title: str,
    state_dict: Mapping[str, Tensor],
    *,
    expected: Mapping[str, Shape],
    optional: Mapping[str, Shape],
    original_names: Mapping[str, str],
    remedy: str,
) -> None:
    """Refuse a state dict with weights that are missing, unknown or of another shape.

    Args:
        title: what the state dict should be of, for the message.
        state_dict: by current names.
        expected: shapes of the weights that must be present; `ANY_LENGTH` stands for any length.
        optional: shapes of the weights that may be present.
        original_names: current names -> names in the file.
        remedy: what to do, for the message.

    Raises:
        UserError: names the weights.
    """
    if found := find_misfits(
        state_dict, expected, optional=optional, original_names=original_names
    ):
        raise UserError(
            f"These {len(state_dict)} entries are not the state dict of {title}: {found}. {remedy}"
        )


def find_misfits(
    state_dict: Mapping[str, Tensor],
    expected: Mapping[str, Shape],
    *,
    optional: Mapping[str, Shape] | None = None,
    original_names: Mapping[str, str] | None = None,
) -> str:
    """Name the weights that are missing, unknown or of another shape; "" if all fit.

    The arguments are those of `check_state_dict`; no original names: they are the present ones.
    """
    known = {**expected, **(optional or {})}
    names = original_names or {name: name for name in state_dict}
    misshapen = [
        f"{names[name]} (expected {_text(known[name])}, found {_text(tensor.shape)})"
        for name, tensor in state_dict.items()
        if name in known and not _fits(tuple(tensor.shape), known[name])
    ]
    problems = {
        "missing": [name for name in expected if name not in state_dict],
        "unknown": [names[name] for name in state_dict if name not in known],
        "of another shape": misshapen,
    }
    return "; ".join(f"{kind}: {_listed(found)}" for kind, found in problems.items() if found)


def shapes(state_dict: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Return the shape of each weight by name."""
    return {name: tuple(weight.shape) for name, weight in state_dict.items()}


def _fits(shape: Shape, expected: Shape) -> bool:
    return len(shape) == len(expected) and all(
        length in {size, ANY_LENGTH} for size, length in zip(shape, expected, strict=True)
    )


def _listed(names: Iterable[str]) -> str:
    names = [shorten(name, 200) for name in names]
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _text(shape: Iterable[int]) -> str:
    return "x".join("any" if size == ANY_LENGTH else str(size) for size in shape) or "scalar"
