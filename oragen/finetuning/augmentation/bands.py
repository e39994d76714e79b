"""A waveform -> the same waveform with some bands attenuated: by a mask, on a phone line."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oragen.schema.attenuation import ATTENUATION_DB, BANDS_HZ
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

_BLOCK: Final = 1024  # 64 ms, room for the curve's echo so that the end does not reach the start


def attenuate(
    waveform: Float[Tensor, "*batch samples"],
    *,
    bands_hz: tuple[int, ...],
    attenuation_db: tuple[float, ...],
) -> Float[Tensor, "*batch samples"]:
    """Attenuate each frequency by the curve through `attenuation_db` at `bands_hz`, without delay.

    Between two bands the decibels lie on a straight line, beyond the outermost they stay as there.
    """
    num_samples = waveform.shape[-1]
    size = _BLOCK * (num_samples // _BLOCK + 2)
    bins_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    gain = 10 ** (-np.interp(bins_hz, bands_hz, attenuation_db) / 20)
    spectrum = torch.fft.rfft(waveform, size) * torch.from_numpy(gain).to(waveform)
    changed: Tensor = torch.fft.irfft(spectrum, size)[..., :num_samples]
    return changed


def muffle(
    waveform: Float[Tensor, "*batch samples"],
    *,
    mask_type: str,
    fit: float,
    ripple_db: float,
    generator: torch.Generator,
) -> Float[Tensor, "*batch samples"]:
    """Attenuate the bands that a mask attenuates.

    Args:
        waveform: in -1..1.
        mask_type: one of `oragen.schema.vocabulary.MASK_TYPES`; `none` changes nothing.
        fit: what the mask's curve in decibels is multiplied by; 1 = as tabulated.
        ripple_db: standard deviation of what is added at each of `BANDS_HZ`: masks of a type
            differ.
        generator: for the ripple.
    """
    if mask_type == "none":
        return waveform
    ripple = torch.randn(len(BANDS_HZ), generator=generator).mul(ripple_db).tolist()
    curve = zip(ATTENUATION_DB[mask_type], ripple, strict=True)
    return attenuate(
        waveform, bands_hz=BANDS_HZ, attenuation_db=tuple(fit * db + more for db, more in curve)
    )
