"""Levels of features -> what a network must compute and how, and what follows from its output."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from oragen.schema.vocabulary import Level, Precision

AUTOCAST_TYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}
INTERMEDIATE: Final[Level] = "intermediate"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which a network runs at a precision; fp32 changes nothing."""
    number_type = AUTOCAST_TYPES.get(precision, torch.bfloat16)
    return torch.autocast(device.type, number_type, enabled=precision in AUTOCAST_TYPES)


def unpooled(levels: Collection[Level]) -> list[Level]:
    """Return the levels that a network must compute: `pooled` follows from `intermediate`."""
    return [*dict.fromkeys(INTERMEDIATE if level == "pooled" else level for level in levels)]


def pool_positions(
    rows: Float[np.ndarray, "positions width"],
) -> Float[np.ndarray, "2 width"]:
    """Return the level `pooled` of rows of `intermediate`: mean and standard deviation."""
    return np.stack([rows.mean(axis=0), rows.std(axis=0)])  # positions, width -> 2, width


@contextmanager
def keep_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the outputs of a module inside the block."""
    kept: list[Tensor] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        yield kept
    finally:
        hook.remove()
