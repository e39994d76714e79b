"""A waveform and a generator -> the waveform as of another recording."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
import torchaudio.functional as audio_functional
from jaxtyping import Float
from torch import Tensor

from oragen.finetuning.augmentation.bands import muffle
from oragen.finetuning.augmentation.channel import Codec, through_codec, to_phone_line
from oragen.finetuning.augmentation.draws import choose, happens, uniform
from oragen.schema.attenuation import ATTENUATION_DB

_TEMPO_WINDOW: Final = 512  # 32 ms, two periods of a deep voice
_TEMPO_HOP: Final = _TEMPO_WINDOW // 4
_QUIETEST: Final = 1e-12  # power below which a signal is silence


@dataclass(frozen=True)
class WaveformAugmentation:
    """How often each change happens (0 = never, 1 = always) and how far it may go.

    Speed shifts pitch and formants, which tell gender and age. Women's formants lie only some 15 %
    above men's, so keep speed within 5 % or so. Tempo keeps both, but its phase vocoder smears
    consonants.
    """

    speed_probability: float = 0.3
    speed_percent: tuple[int, int] = (95, 105)  # whole percents, ends included; 105 = faster
    tempo_probability: float = 0.3
    tempo: tuple[float, float] = (0.9, 1.1)  # 1.1 = faster
    muffle_probability: float = 0.3
    muffle_fit: tuple[float, float] = (0.7, 1.3)  # times the mask's curve in decibels
    muffle_ripple_db: float = 0.7
    noise_probability: float = 0.5
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    gain_probability: float = 0.5
    gain_db: tuple[float, float] = (-12.0, 6.0)  # encoders normalise: only clipping is left of it
    phone_probability: float = 0.1
    codec_probability: float = 0.0  # real codecs: 25 to 45 ms for 4 s
    codecs: tuple[Codec, ...] = ("aac", "opus")
    codec_kbit: tuple[float, float] = (12.0, 48.0)  # kilobits a second
    polarity_probability: float = 0.5


class AugmentedWaveform(NamedTuple):
    """A waveform as long as it was before; after `num_valid` samples come only zeros."""

    waveform: Float[Tensor, " samples"]
    num_valid: int
    mask_type: str | None  # None = unknown


def augment_waveform(
    waveform: Float[Tensor, " samples"],
    *,
    options: WaveformAugmentation,
    mask_type: str | None,
    generator: torch.Generator,
) -> AugmentedWaveform:
    """Change a waveform in -1..1 as on its way from the mouth to the file.

    Talker (speed, tempo), mask, room (noise), microphone (gain), line (phone, codec), polarity. A
    voice with the label of a mask is not muffled again; a muffled voice gets the label of its mask.
    The result is cut or padded with zeros to the old length, and clipped to -1..1. Pad windows
    after this, or the padding gets noise as well.
    """
    changed = _talk(waveform, options, generator)[: len(waveform)]
    if mask_type in (None, "none") and happens(options.muffle_probability, generator):
        mask_type = choose([name for name in ATTENUATION_DB if name != "none"], generator)
        changed = muffle(
            changed,
            mask_type=mask_type,
            fit=uniform(*options.muffle_fit, generator),
            ripple_db=options.muffle_ripple_db,
            generator=generator,
        )
    changed = _transmit(_record(changed, options, generator).clamp(-1, 1), options, generator)
    if happens(options.polarity_probability, generator):
        changed = invert(changed)
    return AugmentedWaveform(
        fit_length(changed.clamp(-1, 1), len(waveform)), len(changed), mask_type
    )


def _talk(
    waveform: Float[Tensor, " samples"], options: WaveformAugmentation, generator: torch.Generator
) -> Float[Tensor, " other_samples"]:
    if happens(options.speed_probability, generator):
        low, high = options.speed_percent
        waveform = change_speed(waveform, percent=choose(range(low, high + 1), generator))
    if happens(options.tempo_probability, generator):
        waveform = change_tempo(waveform, tempo=uniform(*options.tempo, generator))
    return waveform


def _record(
    waveform: Float[Tensor, " samples"], options: WaveformAugmentation, generator: torch.Generator
) -> Float[Tensor, " samples"]:
    if happens(options.noise_probability, generator):
        snr_db = uniform(*options.noise_snr_db, generator)
        waveform = add_white_noise(waveform, snr_db=snr_db, generator=generator)
    if happens(options.gain_probability, generator):
        waveform = change_gain(waveform, gain_db=uniform(*options.gain_db, generator))
    return waveform


def _transmit(
    waveform: Float[Tensor, " samples"], options: WaveformAugmentation, generator: torch.Generator
) -> Float[Tensor, " samples"]:
    if happens(options.phone_probability, generator):
        waveform = to_phone_line(waveform)
    if happens(options.codec_probability, generator):
        codec = choose(options.codecs, generator)
        bit_rate = round(1000 * uniform(*options.codec_kbit, generator))
        waveform = through_codec(waveform.clamp(-1, 1), codec=codec, bit_rate=bit_rate)
    return waveform


def invert(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch samples"]:
    """Swap the wires of the microphone; nobody hears it."""
    return -waveform


def change_gain(
    waveform: Float[Tensor, "*batch samples"], *, gain_db: float
) -> Float[Tensor, "*batch samples"]:
    return waveform * 10 ** (gain_db / 20)


def add_white_noise(
    waveform: Float[Tensor, "*batch samples"], *, snr_db: float, generator: torch.Generator
) -> Float[Tensor, "*batch samples"]:
    """Add Gaussian noise that lies `snr_db` below the mean power of each waveform.

    The noise drawn is scaled by its own power, so the ratio is exact. Silence stays silent.
    """
    noise = torch.randn(waveform.shape, generator=generator)
    noise_power = noise.square().mean(-1, keepdim=True).clamp_min(_QUIETEST)
    power = waveform.square().mean(-1, keepdim=True)
    return waveform + noise * (power / noise_power).sqrt() * 10 ** (-snr_db / 20)


def change_speed(
    waveform: Float[Tensor, "*batch samples"], *, percent: int
) -> Float[Tensor, "*batch other_samples"]:
    """Play faster (above 100) or slower: pitch and formants rise or fall by the same factor.

    Whole percents, because resampling by 1.0371 needs ten times the time of 1.04. The length
    becomes `samples * 100 / percent`, rounded up.
    """
    changed: Tensor = audio_functional.resample(waveform, percent, 100)
    return changed


def change_tempo(
    waveform: Float[Tensor, "*batch samples"], *, tempo: float
) -> Float[Tensor, "*batch other_samples"]:
    """Talk faster (above 1) or slower at the same pitch (phase vocoder, Flanagan and Golden 1966).

    The length becomes `samples / tempo`, rounded.
    """
    num_samples = round(waveform.shape[-1] / tempo)
    window = torch.hann_window(_TEMPO_WINDOW)
    padded = torch.nn.functional.pad(waveform, (0, 2 * _TEMPO_WINDOW))
    spectrum = torch.stft(
        padded, _TEMPO_WINDOW, _TEMPO_HOP, window=window, pad_mode="constant", return_complex=True
    )
    advance = torch.linspace(0, math.pi * _TEMPO_HOP, _TEMPO_WINDOW // 2 + 1)[:, None]
    changed = audio_functional.phase_vocoder(spectrum, tempo, advance)
    return torch.istft(changed, _TEMPO_WINDOW, _TEMPO_HOP, window=window, length=num_samples)


def fit_length(
    waveform: Float[Tensor, "*batch samples"], num_samples: int
) -> Float[Tensor, "*batch {num_samples}"]:
    """Cut, or pad with zeros at the end."""
    missing = max(0, num_samples - waveform.shape[-1])
    return torch.nn.functional.pad(waveform[..., :num_samples], (0, missing))
