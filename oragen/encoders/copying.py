"""Tensors in memory <-> tensors on a GPU, copied while the GPU computes; a CPU needs no copies."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from oragen.schema.vocabulary import Level


def pin(batch: Tensor, device: torch.device) -> Tensor:
    """Put a batch where a GPU can fetch it by itself, if it is for a GPU."""
    return batch.pin_memory() if device.type == "cuda" else batch


def send(batch: Tensor, device: torch.device) -> Tensor:
    """Begin to copy a batch to its device; of a pinned one nobody waits for the end."""
    return batch.to(device, non_blocking=True)


class Returning:
    """The features of a batch, on their way from the device that computes them."""

    def __init__(self, features: Mapping[Level, Tensor], dtype: torch.dtype) -> None:
        self._features = {level: _begin_copy(of.to(dtype)) for level, of in features.items()}
        on_gpu = any(of.device.type == "cuda" for of in features.values())
        self._copied = torch.cuda.Event() if on_gpu else None
        if self._copied is not None:
            self._copied.record()

    def wait(self) -> dict[Level, np.ndarray]:
        """Return `batch x positions x width` of each level, once they are there."""
        if self._copied is None:
            return {level: features.numpy() for level, features in self._features.items()}
        self._copied.synchronize()
        # out of the pinned memory, which the next batches need
        return {level: features.clone().numpy() for level, features in self._features.items()}


def _begin_copy(features: Tensor) -> Tensor:
    if features.device.type != "cuda":
        return features
    pinned = torch.empty_like(features, device="cpu", pin_memory=True)
    return pinned.copy_(features, non_blocking=True)
