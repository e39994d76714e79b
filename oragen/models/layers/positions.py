"""Places in a sequence -> vectors an attention can tell apart."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoidal_positions(length: int, width: int, *, like: Tensor) -> Float[Tensor, "length width"]:
    """Sines and cosines of geometrically growing periods (arXiv 1706.03762, section 3.5).

    Args:
        length: number of places; any, nothing is learned.
        width: size of a vector, even.
        like: a tensor whose device and dtype the result takes.
    """
    if width % 2:
        raise ValueError(f"width ({width}) must be even.")
    place = torch.arange(length, device=like.device, dtype=torch.float32)[:, None]
    rate = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    angle = place * torch.exp(rate * (-math.log(10_000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).to(like.dtype)
