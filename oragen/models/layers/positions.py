"""Positions in a sequence -> vectors that an attention can tell apart."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoidal_positions(length: int, width: int, *, like: Tensor) -> Float[Tensor, "length width"]:
    """Sines and cosines of geometrically growing periods (arXiv 1706.03762, section 3.5).

    Args:
        length: number of positions, any: nothing is learned.
        width: size of a vector, even.
        like: a tensor whose device and dtype the result takes.
    """
    if width % 2:
        raise ValueError(f"width ({width}) must be even.")
    position = torch.arange(length, device=like.device, dtype=torch.float32)[:, None]
    rate = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    angle = position * torch.exp(rate * (-math.log(10_000.0) / width))
    # length, half width, 2 -> length, width: sine and cosine in turn
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).to(like.dtype)
