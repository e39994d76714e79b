"""A waveform -> the same waveform with some bands weaker: behind a mask, on a phone line.

The masks' curves are those of `oragen.generator.recording`, which tells where they come from: rough
lines through figures that Corey, Jones and Singer (2020, JASA 148(4) 2371), Schumaker and Barnard
(2021, INTER-NOISE), Cox et al. (2022, JASA 151 2931) and Nowacki et al. (2022, IJERPH 19 7012)
report or quote; the respirator's is a guess.
"""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oragen.schema import SAMPLE_RATE_HZ

BANDS_HZ: Final = (0, 500, 1000, 2000, 4000, 6000, 8000)
# Decibels of attenuation at BANDS_HZ; negative = louder.
ATTENUATION_DB: Final[dict[str, tuple[float, ...]]] = {
    "none": (0, 0, 0, 0, 0, 0, 0),
    "tissue": (0, 0, 1, 3, 6, 8, 9),
    "medical": (0, 0, 0.5, 1.5, 3.5, 4.5, 4),
    "ffp": (0, 0, 1, 3.5, 6, 7, 6),
    "respirator": (0, 1, 4, 8, 12, 14, 15),
    "shield": (0, -1, -4, 4, 11, 14, 13),
}
_BLOCK: Final = 1024  # 64 ms, room for the curve's echo so that the end does not reach the start


def attenuate(
    waveform: Float[Tensor, "*batch samples"],
    *,
    bands_hz: tuple[int, ...],
    attenuation_db: tuple[float, ...],
) -> Float[Tensor, "*batch samples"]:
    """Weaken each frequency by the curve through `attenuation_db` at `bands_hz`, without delay.

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
    """Weaken the bands that a mask weakens.

    Args:
        waveform: in -1..1.
        mask_type: one of `oragen.schema.MASK_TYPES`; `none` changes nothing.
        fit: what the mask's curve in decibels is multiplied by; 1 = as tabulated.
        ripple_db: standard deviation of what is added at each of `BANDS_HZ`: no two masks of a
            type are the same.
        generator: for the ripple.
    """
    if mask_type == "none":
        return waveform
    ripple = torch.randn(len(BANDS_HZ), generator=generator).mul(ripple_db).tolist()
    curve = zip(ATTENUATION_DB[mask_type], ripple, strict=True)
    return attenuate(
        waveform, bands_hz=BANDS_HZ, attenuation_db=tuple(fit * db + more for db, more in curve)
    )
