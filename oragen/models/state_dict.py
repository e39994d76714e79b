"""A state dict -> the same state dict, known to fit a model; or an error that names the misfits.

Names in saved files: an attribute that holds weights is a name in every state dict that was saved.
So `summary` (a pooling) and `decisions` (output layers) keep these names, whatever their classes
are called.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from torch import Tensor

from oragen.schema.errors import UserError

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
    known = {**expected, **optional}
    misshapen = [
        f"{original_names[name]} (expected {_text(known[name])}, found {_text(tensor.shape)})"
        for name, tensor in state_dict.items()
        if name in known and not _fits(tuple(tensor.shape), known[name])
    ]
    problems = {
        "missing": [name for name in expected if name not in state_dict],
        "unknown": [original_names[name] for name in state_dict if name not in known],
        "of another shape": misshapen,
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
        raise UserError(
            f"These {len(state_dict)} entries are not the state dict of {title}: {listed}. {remedy}"
        )


def shapes(state_dict: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Return the shape of each weight by name."""
    return {name: tuple(weight.shape) for name, weight in state_dict.items()}


def _fits(shape: Shape, expected: Shape) -> bool:
    return len(shape) == len(expected) and all(
        length in {size, ANY_LENGTH} for size, length in zip(shape, expected, strict=True)
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _text(shape: Iterable[int]) -> str:
    return "x".join("any" if size == ANY_LENGTH else str(size) for size in shape) or "scalar"
