"""Weights by name -> an error if one of them is not a finite number.

One pass finds the extremes of a tensor, which are NaN if any of its numbers is. `isfinite` would
take nine times as long: it writes a tensor of booleans.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


def find_not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with a number that is NaN or infinite."""
    return next((name for name, weight in weights.items() if not _is_finite(weight)), None)


def _is_finite(weight: Tensor) -> bool:
    if not weight.is_floating_point() or not weight.numel() or weight.is_meta:
        return True
    if weight.element_size() == 1:  # float8, whose extremes torch does not know
        weight = weight.float()
    return bool(torch.isfinite(torch.stack(torch.aminmax(weight.detach()))).all())
