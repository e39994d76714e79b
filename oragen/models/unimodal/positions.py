"""Tables of positions in a state dict -> an error if they differ from those we compute."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from oragen.models.layers import sinusoidal_positions
from oragen.schema.errors import UserError

POSITIONS: Final = ".positional_encoding.pe"
_TOLERANCE: Final = 1e-2  # more than half precision loses


def check_positions(title: str, state_dict: Mapping[str, Tensor]) -> None:
    """Refuse stored positions that are not the sinusoids we compute ourselves.

    Raises:
        UserError: names the table.
    """
    for name, tensor in state_dict.items():
        if name.endswith(POSITIONS):
            table = tensor[0].float()
            computed = sinusoidal_positions(*table.shape, like=table)
            if not torch.allclose(table, computed, rtol=0, atol=_TOLERANCE):
                raise UserError(
                    f"{name} is not the sinusoidal table of {title}, which is computed and not "
                    "loaded: with other positions the model would predict otherwise."
                )
