"""A clean voice -> a recording of it, through a mask and in a place."""

from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, firwin2, sosfilt

from oragen.corpora.generator.voice import Waveform
from oragen.schema.attenuation import ATTENUATION_DB, BANDS_HZ
from oragen.schema.choices.corpora import Condition
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

HIGHEST_LEVEL: Final = 0.97


def muffle(waveform: Waveform, mask_type: str, rng: np.random.Generator) -> Waveform:
    """Voice -> voice behind a mask; fit and material vary from clip to clip."""
    fit = rng.uniform(0.7, 1.3)
    ripple_db = rng.normal(0, 0.7, size=len(BANDS_HZ)) * (mask_type != "none")
    gain_db = -fit * np.array(ATTENUATION_DB[mask_type]) - ripple_db
    taps = firwin2(127, BANDS_HZ, 10 ** (gain_db / 20), fs=SAMPLE_RATE_HZ)
    return np.asarray(fftconvolve(waveform, taps, mode="same"))


def record(waveform: Waveform, condition: Condition, rng: np.random.Generator) -> Waveform:
    """Voice (or silence) -> recording: gain, room, background noise, band of the line."""
    match condition:
        case "studio":
            noise_level = 10 ** (rng.uniform(-42, -34) / 20)
            recording = waveform + 0.08 * noise_level * _coloured_noise(waveform, 0.5, rng)
        case "phone":
            noise_level = 10 ** (rng.uniform(-24, -14) / 20)
            noise = _coloured_noise(waveform, rng.uniform(0.3, 1.0), rng) * _swell(waveform, rng)
            recording = _line(_room(waveform, rng) + 0.08 * noise_level * noise, rng)
        case _:
            assert_never(condition)
    gain = 10 ** (rng.uniform(-5, 3) / 20)
    return HIGHEST_LEVEL * np.tanh(gain * recording / HIGHEST_LEVEL)


def _line(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """A phone line's band, its borders a little different from phone to phone."""
    band_hz = (rng.uniform(240, 340), rng.uniform(3200, 3800))
    sections = butter(4, band_hz, btype="bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sections, waveform))


def _room(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """A short exponential echo."""
    time_s = np.arange(int(0.15 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    echo = rng.standard_normal(len(time_s)) * np.exp(-time_s / rng.uniform(0.015, 0.04))
    echo *= rng.uniform(0.1, 0.35) / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    return np.asarray(fftconvolve(waveform, echo)[: len(waveform)])


def _coloured_noise(
    waveform: Waveform, colour: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Noise of unit power falling with frequency ** -colour (0 = white, 0.5 = pink)."""
    spectrum = np.fft.rfft(rng.standard_normal(len(waveform)))
    bins = np.maximum(np.arange(len(spectrum)), len(waveform) * 60 / SAMPLE_RATE_HZ)
    noise = np.fft.irfft(spectrum * bins**-colour, len(waveform))
    return np.asarray(noise / noise.std())


def _swell(waveform: Waveform, rng: np.random.Generator) -> NDArray[np.float64]:
    """Slow ups and downs of street noise."""
    marks = rng.uniform(0.6, 1.4, size=max(2, len(waveform) // SAMPLE_RATE_HZ))
    return np.interp(np.linspace(0, 1, len(waveform)), np.linspace(0, 1, len(marks)), marks)
