"""Waveforms of any lengths -> one batch at the encoder's scale."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16, Shaped
from torch import Tensor

from oragen.media.samples import FULL_SCALE

Order = Literal[
    "normalise_then_pad",  # ours, and that of markitantov/ORAGEN
    "pad_then_normalise",  # that of chimera_ml, whose released weights were trained with it
]


class Waveforms(NamedTuple):
    """A batch; `valid` is True over the real samples, which come first.

    Of an encoder that takes spectrograms it has these, see `UnimodalAudioModel`.
    """

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
    samples, valid = _pad(waveforms, np.float32, min_samples)
    for row, waveform in zip(samples, waveforms, strict=True):
        counted = max(len(waveform), min_samples if order == "pad_then_normalise" else 0)
        row[:counted] = _normalise(row[:counted])
    return Waveforms(torch.from_numpy(samples), valid)


def pad_raw(waveforms: Sequence[Int16[np.ndarray, " _"]]) -> Waveforms:
    """Put int16 waveforms into one batch, as `normalise_raw` takes them: half the bytes."""
    samples, valid = _pad(waveforms, np.int16)
    return Waveforms(torch.from_numpy(samples), valid)


def _pad(
    waveforms: Sequence[np.ndarray], dtype: type[np.float32 | np.int16], min_samples: int = 0
) -> tuple[Shaped[np.ndarray, "batch samples"], Bool[Tensor, "batch samples"]]:
    """Put waveforms into one array with zeros behind; return also which samples are real."""
    lengths = [len(waveform) for waveform in waveforms]
    samples = np.zeros((len(waveforms), max(min_samples, *lengths)), dtype)
    for row, waveform in zip(samples, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return samples, torch.arange(samples.shape[1]) < torch.tensor(lengths)[:, None]


def normalise_raw(
    samples: Int16[Tensor, "batch samples"], valid: Bool[Tensor, "batch samples"] | None
) -> Float[Tensor, "batch samples"]:
    """Do on a device what `prepare_waveforms` does: zero mean, unit variance, zeros behind."""
    floats = samples.float() / FULL_SCALE  # zeros behind the real samples
    real = torch.ones_like(floats) if valid is None else valid.float()
    count = real.sum(dim=1, keepdim=True)  # batch, 1
    centred = (floats - floats.sum(dim=1, keepdim=True) / count) * real
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred / torch.sqrt(variance + 1e-7)


def _normalise(waveform: Float[np.ndarray, " _"]) -> Float[np.ndarray, " _"]:
    if not len(waveform):
        return waveform
    normalised: np.ndarray = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
    return normalised
