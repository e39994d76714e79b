"""Stored tables of positions -> tables that are known to be those we compute."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from oragen.models.layers import sinusoidal_positions
from oragen.schema.errors import UserError

POSITIONS: Final = ".positional_encoding.pe"
_TOLERANCE: Final = 1e-2  # more than half precision loses


def check_positions(title: str, entries: Mapping[str, Tensor]) -> None:
    """Refuse stored positions that are not the sinusoids we compute ourselves.

    Raises:
        UserError: names the entry.
    """
    for name, tensor in entries.items():
        if name.endswith(POSITIONS):
            table = tensor[0].float()
            computed = sinusoidal_positions(*table.shape, like=table)
            if not torch.allclose(table, computed, rtol=0, atol=_TOLERANCE):
                raise UserError(
                    f"{name} is not the sinusoidal table of {title}, which is computed and not "
                    "loaded: with other positions the model would give other answers."
                )
