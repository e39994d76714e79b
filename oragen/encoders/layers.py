"""Which hidden layers of a speech transformer are kept -> their numbers."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from oragen.encoders.errors import EncoderError
from oragen.schema.choices.encoders import NamedLayers

Layers: TypeAlias = NamedLayers | Sequence[int]


class LayerError(EncoderError):
    """An encoder has no such layer, or cannot keep it. Who catches it adds what to do."""


def choose_layers(source: str, layers: Layers, num_layers: int) -> tuple[int, ...] | None:
    """Return the numbers of the layers to keep; None: the output of the encoder, as it is.

    Args:
        source: name of the encoder.
        layers: 0 is what enters the first layer, n what leaves the n-th; the last is what the
            encoder returns.
        num_layers: of the encoder.

    Raises:
        LayerError: it has no such layer.
    """
    if layers == "last":
        return None
    if layers == "all":
        return tuple(range(num_layers + 1))
    if missing := [number for number in layers if not 0 <= int(number) <= num_layers]:
        raise LayerError(
            f"Encoder {source!r} has no layer {missing[0]}; its layers are 0 (what enters the "
            f"first) to {num_layers}."
        )
    return tuple(map(int, layers))


def join_layers(
    states: Sequence[Float[Tensor, "batch _ width"]], layers: Sequence[int]
) -> Float[Tensor, "batch steps joined_width"]:
    """Put the hidden states of some layers side by side: their widths follow each other.

    Raises:
        LayerError: one has other audio frames than the last, the output, as layers of SEW have.
    """
    expected = states[-1].shape[1]
    for number in layers:
        if (found := states[number].shape[1]) != expected:
            raise LayerError(
                f"Hidden layer {number} of the speech encoder has {found} audio frames where its "
                f"output has {expected}."
            )
    return torch.cat([states[number] for number in layers], dim=-1)
