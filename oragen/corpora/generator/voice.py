"""Traits of a voice and tracks of articulation -> a waveform, by the source-filter model.

Glottal pulses (the KLGLOTT88 flow derivative, Klatt and Klatt 1990, JASA 87 820) with jitter,
shimmer, tremor and aspiration noise are filtered by moving formants in the short-time spectrum;
consonant noise is added there too.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import resample_poly

from oragen.corpora.generator.speakers import VoiceTraits
from oragen.corpora.generator.syllables import CONTROL_RATE_HZ, Articulation, articulate
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

Waveform = NDArray[np.float64]
Spectra = NDArray[np.complex64]

SOURCE_OVERSAMPLING: Final = 2  # the pulse has a corner: made at 32 kHz, aliasing stays low
HOP: Final = SAMPLE_RATE_HZ // CONTROL_RATE_HZ
WINDOW: Final = 4 * HOP  # Hann windows at a quarter's hop add up to a constant
FFT_SIZE: Final = 6 * HOP
FREQUENCIES_HZ: Final = np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE_HZ)
HIGHER_FORMANTS_HZ: Final = (3500.0, 4500.0, 5500.0)
BANDWIDTHS_HZ: Final = (70.0, 90.0, 130.0, 200.0, 260.0, 320.0)
LOUDNESS: Final = 0.08  # root mean square of the whole utterance


@dataclass(frozen=True)
class Utterance:
    """A waveform at 16 kHz and the mouth's opening (0 to 1) at `CONTROL_RATE_HZ`."""

    waveform: Waveform
    opening: NDArray[np.float64]


def speak(voice: VoiceTraits, duration_s: float, rng: np.random.Generator) -> Utterance:
    """Traits -> an utterance of a made-up text, without mask, room and microphone."""
    articulation = articulate(voice, duration_s, rng)
    num_samples = round(duration_s * SAMPLE_RATE_HZ)
    source = _spectra(_glottal_source(voice, articulation, num_samples, rng))
    noise = _spectra(rng.standard_normal(num_samples))
    steps = np.minimum(np.arange(len(source)), len(articulation.voicing) - 1)
    spectra = source * _vocal_tract(voice, articulation.formants_hz[steps])
    spectra += noise * _frication(articulation, steps)
    waveform = _overlap_add(spectra, num_samples)
    return Utterance(waveform * (LOUDNESS / waveform.std()), articulation.opening)


def _spectra(waveform: Waveform) -> Spectra:
    """Waveform -> spectra of (step, frequency), step i centred on sample i * HOP."""
    padded = np.pad(waveform.astype(np.float32), WINDOW // 2)
    pieces = sliding_window_view(padded, WINDOW)[::HOP]  # samples -> step, WINDOW
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    spectra = np.fft.rfft(pieces * window.astype(np.float32), FFT_SIZE, axis=1)  # step, frequency
    return spectra.astype(np.complex64, copy=False)


def _overlap_add(spectra: Spectra, num_samples: int) -> Waveform:
    """Back to a waveform; a filter may ring for FFT_SIZE - WINDOW samples."""
    num_hops = FFT_SIZE // HOP
    # step, frequency -> step, FFT_SIZE -> step, hop of the piece, sample
    pieces = np.fft.irfft(spectra, FFT_SIZE, axis=1).reshape(-1, num_hops, HOP)
    total = np.zeros((len(pieces) + num_hops - 1, HOP))
    for hop in range(num_hops):
        total[hop : hop + len(pieces)] += pieces[:, hop]
    return total.ravel()[WINDOW // 2 :][:num_samples]


def _glottal_source(
    voice: VoiceTraits, articulation: Articulation, num_samples: int, rng: np.random.Generator
) -> Waveform:
    num_fine = num_samples * SOURCE_OVERSAMPLING
    pitch_hz = _stretch(_pitch_contour_hz(voice, articulation, rng), num_fine)
    cycles = _cycles(pitch_hz, voice.jitter, rng)
    pulses = _klatt_pulses(cycles % 1.0, voice.open_quotient)
    loudness = 1 + voice.shimmer * rng.standard_normal(int(cycles[-1]) + 2)
    pulses *= loudness[cycles.astype(int)]
    breath = rng.standard_normal(num_fine) * (0.4 + 0.6 * (cycles % 1.0 < voice.open_quotient))
    source = (pulses + voice.breathiness * breath) * _stretch(articulation.voicing, num_fine)
    return _tilt(resample_poly(source, 1, SOURCE_OVERSAMPLING), voice.tilt_db_per_octave)


def _pitch_contour_hz(
    voice: VoiceTraits, articulation: Articulation, rng: np.random.Generator
) -> NDArray[np.float64]:
    time_s = np.arange(len(articulation.voicing)) / CONTROL_RATE_HZ
    declination = voice.pitch_range_semitones * (0.5 - articulation.phrase_position)
    semitones = articulation.accent_semitones + declination
    tremor = voice.tremor * np.sin(2 * np.pi * (rng.uniform(4, 6) * time_s + rng.uniform()))
    contour: NDArray[np.float64] = voice.pitch_hz * 2 ** (semitones / 12) * (1 + tremor)
    return contour


def _cycles(pitch_hz: NDArray[np.float64], jitter: float, rng: np.random.Generator) -> Waveform:
    """Pitch per fine sample -> glottal cycles passed, each cycle a little too long or short."""
    rate_hz = SAMPLE_RATE_HZ * SOURCE_OVERSAMPLING
    steady = np.cumsum(pitch_hz) / rate_hz
    wobble = 1 + jitter * rng.standard_normal(int(steady[-1]) + 2)
    cycles: Waveform = np.cumsum(pitch_hz * wobble[steady.astype(int)]) / rate_hz
    return cycles


def _klatt_pulses(phase: Waveform, open_quotient: float) -> Waveform:
    opened = phase / open_quotient
    return np.where(opened < 1, 2 * opened - 3 * opened**2, 0.0)


def _tilt(source: Waveform, tilt_db_per_octave: float) -> Waveform:
    """Bend the spectrum above 500 Hz, without touching the pitch's own band."""
    spectrum = np.fft.rfft(source)
    frequency_hz = np.fft.rfftfreq(len(source), 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(frequency_hz, 500) / 500)
    return np.fft.irfft(spectrum * 10 ** (tilt_db_per_octave * octaves / 20), len(source))


def _vocal_tract(voice: VoiceTraits, formants_hz: NDArray[np.float64]) -> Spectra:
    """Formants of (step, 3) -> complex gains, 1 at 0 Hz: a cascade of digital resonators."""
    moving = (formants_hz * voice.formant_scale).T[:, :, None]  # step, 3 -> 3, step, 1
    fixed = (np.array(HIGHER_FORMANTS_HZ) * voice.formant_scale)[:, None, None]
    gains = np.ones((len(formants_hz), len(FREQUENCIES_HZ)), dtype=np.complex64)  # step, frequency
    for formant_hz, bandwidth_hz in zip([*moving, *fixed], BANDWIDTHS_HZ, strict=True):
        gains *= _resonance(formant_hz, bandwidth_hz)
    return gains


def _resonance(formant_hz: NDArray[np.float64], bandwidth_hz: float) -> Spectra:
    delay = np.exp(-2j * np.pi * FREQUENCIES_HZ / SAMPLE_RATE_HZ).astype(np.complex64)
    radius = np.exp(np.float32(-np.pi * bandwidth_hz / SAMPLE_RATE_HZ))
    angle = np.minimum(2 * np.pi * formant_hz / SAMPLE_RATE_HZ, 0.98 * np.pi)
    linear = 2 * radius * np.cos(angle).astype(np.float32)
    return np.asarray((1 - linear + radius**2) / (1 - linear * delay + radius**2 * delay**2))


def _frication(articulation: Articulation, steps: NDArray[np.int64]) -> NDArray[np.float32]:
    centre_hz = articulation.noise_hz[steps, None]
    octaves = np.log2(np.maximum(FREQUENCIES_HZ, 50) / centre_hz)
    gains = 0.25 * articulation.noise[steps, None] * np.exp(-0.5 * (octaves / 0.45) ** 2)
    return np.asarray(gains, dtype=np.float32)


def _stretch(track: NDArray[np.float64], num_fine: int) -> NDArray[np.float64]:
    positions = np.linspace(0, len(track) - 1, num_fine)
    return np.interp(positions, np.arange(len(track)), track)
