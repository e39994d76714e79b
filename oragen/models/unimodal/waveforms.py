"""Waveforms of any lengths -> one batch at the encoder's scale."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

Order = Literal[
    "normalise_then_pad",  # ours, and that of markitantov/ORAGEN
    "pad_then_normalise",  # that of chimera_ml, whose released weights were trained with it
]


class Waveforms(NamedTuple):
    """A batch; `valid` is True over the real samples, which come first."""

    samples: Float[Tensor, "batch samples"]
    valid: Bool[Tensor, "batch samples"]


def prepare_waveforms(
    waveforms: Sequence[Float[np.ndarray, " _"]],
    *,
    min_samples: int,
    order: Order = "normalise_then_pad",
) -> Waveforms:
    """Bring waveforms to zero mean and unit variance, and pad them to one length.

    A published model takes the result without `valid`: its input includes the padding.

    Args:
        waveforms: 16 kHz, mono, of any lengths; none is cut.
        min_samples: length to pad to; more where a waveform is longer.
        order: `pad_then_normalise` counts the padding in the mean and the variance. So a window
            of 1 s in 4 s gets a deviation of 2 over its real samples, and padding that is not 0.
    """
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    num_samples = max(min_samples, int(lengths.max()))
    samples = torch.zeros(len(waveforms), num_samples)
    for row, waveform in zip(samples, waveforms, strict=True):
        padding = min_samples - len(waveform) if order == "pad_then_normalise" else 0
        normalised = _normalise(np.pad(waveform.astype(np.float32), (0, max(0, padding))))
        row[: len(normalised)] = torch.from_numpy(normalised)
    return Waveforms(samples, torch.arange(num_samples) < lengths[:, None])


def _normalise(waveform: Float[np.ndarray, " _"]) -> Float[np.ndarray, " _"]:
    if not len(waveform):
        return waveform
    normalised: np.ndarray = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
    return normalised
