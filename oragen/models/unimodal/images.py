"""Images of any size -> one batch at the encoder's size and scale."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional

HALF_RANGE: Final = 127.5  # pixels 0..255 become -1..1


def prepare_images(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, size_px: int = 224
) -> Float[Tensor, "batch 3 size_px size_px"]:
    """Scale RGB images to a square, of any aspect, and to -1..1, as for the published ViT."""
    return torch.stack([_prepare(image, size_px) for image in images])


def _prepare(image: UInt8[np.ndarray, "_ _ 3"], size_px: int) -> Float[Tensor, "3 size_px size_px"]:
    # height, width, 3 -> 3, height, width
    channels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    scaled: Tensor = functional.resize(channels, [size_px, size_px], antialias=True)
    return scaled.float() / HALF_RANGE - 1
