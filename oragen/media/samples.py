"""Samples as int16 <-> floats in -1..1: the one scale of audio in this project."""

from typing import Final

import numpy as np
from jaxtyping import Float, Int16

FULL_SCALE: Final = 2**15  # int16 reaches from -FULL_SCALE to FULL_SCALE - 1

Samples = Int16[np.ndarray, "*any"] | Float[np.ndarray, "*any"]  # the floats in -1..1


def to_floats(
    samples: Samples, dtype: type[np.float32 | np.float64] = np.float32
) -> Float[np.ndarray, "*any"]:
    """Int16 -> floats in -1..1, exact in both types; what are floats already stay as they are."""
    if samples.dtype != np.int16:
        return samples.astype(dtype, copy=False)
    return np.asarray(np.true_divide(samples, FULL_SCALE, dtype=dtype))


def to_int16(floats: Float[np.ndarray, "*any"]) -> Int16[np.ndarray, "*any"]:
    """Floats in -1..1 -> the nearest int16; what is louder is clipped."""
    return np.asarray(np.rint(floats * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1), np.int16)
