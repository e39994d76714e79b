"""Levels of features -> what a network must compute and how, and what follows from its output."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from oragen.encoders.errors import EncoderError
from oragen.schema.vocabulary import Level, Precision

AUTOCAST_TYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}
INTERMEDIATE: Final[Level] = "intermediate"

Rows: TypeAlias = dict[Level, list[np.ndarray]]  # of each level `positions x width` of each input
Launched: TypeAlias = Callable[[], Rows]  # waits for them


def autocast(network: nn.Module, precision: Precision) -> torch.autocast:
    """Return the context in which a network runs at a precision.

    It changes nothing in fp32, or where the weights are of the wanted type.
    """
    weights, number_type = next(network.parameters()), AUTOCAST_TYPES.get(precision, torch.bfloat16)
    enabled = precision in AUTOCAST_TYPES and weights.dtype != number_type
    return torch.autocast(weights.device.type, number_type, enabled=enabled)


def unpooled(levels: Collection[Level]) -> list[Level]:
    """Return the levels that a network must compute: `pooled` follows from `intermediate`."""
    return [*dict.fromkeys(INTERMEDIATE if level == "pooled" else level for level in levels)]


def pool_positions(
    rows: Float[np.ndarray, "positions width"],
) -> Float[np.ndarray, "2 width"]:
    """Return the level `pooled` of rows of `intermediate`: mean and standard deviation."""
    return np.stack([rows.mean(axis=0), rows.std(axis=0)])  # positions, width -> 2, width


def choose_rows(computed: Mapping[Level, list[np.ndarray]], levels: Collection[Level]) -> Rows:
    """Return the rows of the wanted levels, `pooled` from those of `intermediate`."""
    rows = dict(computed)
    if "pooled" in levels:
        rows["pooled"] = [pool_positions(of_input) for of_input in computed[INTERMEDIATE]]
    return {level: rows[level] for level in levels}


def round_rows(rows: Mapping[Level, list[np.ndarray]], dtype: torch.dtype) -> Rows:
    """Return rows in another type. NumPy takes a hundred times longer to make float16."""
    return {
        level: [torch.from_numpy(row).to(dtype).numpy() for row in of_level]
        for level, of_level in rows.items()
    }


def type_to_copy(levels: Collection[Level], dtype: torch.dtype) -> torch.dtype:
    """Return the type in which features leave a device: `pooled` is computed from fp32."""
    return torch.float32 if "pooled" in levels else dtype


@contextmanager
def keep_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the outputs of a module inside the block."""
    kept: list[Tensor] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        yield kept
    finally:
        hook.remove()


def refuse_early(source: str, levels: Collection[Level]) -> None:
    """Refuse the level `early` of a network of a package.

    Raises:
        EncoderError: names the levels there are.
    """
    if "early" in levels:
        raise EncoderError(
            f"Encoder {source!r} has no level `early`. Choose among intermediate, late and pooled."
        )
