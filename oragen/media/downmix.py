"""Channels of a track at 16 kHz -> one: their mean, or the clearest where the mean loses it.

The mean is right for nearly all recordings. It fails in three cases, and then the clearest channel
is used instead:

- the others cancel it: what is left of it in the mean is less than half of its own share;
- the others are nearly empty: the mean is more than 10 dB quieter than it;
- the others drown it: noise, a tone or clipping fills the pauses that it has.

A voice rises and falls with each syllable, noise and tones do not. So a channel is the clearer the
further its level falls within a second, after the envelope variance of Wolf and Nadeu (2014),
"Channel selection measures for multi-microphone speech recognition", Speech Communication 57.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from oragen.schema.vocabulary import SAMPLE_RATE_HZ

_FRAME: Final = 500  # samples: a second has 32
_BIN_HZ: Final = SAMPLE_RATE_HZ // _FRAME
_AUDIBLE: Final = slice(2, None)  # from 64 Hz on: no constant offset
_VOICE: Final = slice(300 // _BIN_HZ + 1, 3_400 // _BIN_HZ + 1)  # the band of a telephone
_MIN_FRAMES: Final = 8  # of a last, shorter stretch
_MIN_POWER: Final = 1e-10  # of a frame, about that of the rounding of 16-bit samples
_CLEAR_DB: Final = 20.0  # a level that falls so far is clear; of clear channels the loudest wins
_ALIKE_DB: Final = 3.0
_ACTIVE_POWER: Final = 1e-3  # 30 dB below the loudest second: a pause
_EMPTY_POWER: Final = 1e-5  # 50 dB below the loudest channel: nothing on it
_MIN_SHARE: Final = 0.5
_MAX_LOSS_DB: Final = 10.0
MIN_VOICE_RANGE_DB: Final = 10.0  # the level of a voice falls at least so far within a second

Channels = Float32[np.ndarray, "samples channels"]


class Loss(Enum):
    """What the mean of the channels does to the clearest of them."""

    CANCELLED = "the others cancel it in their mean"
    QUIET = "the others are nearly empty"
    DROWNED = "the others drown it in their mean"


class Choice(NamedTuple):
    """The channel to use instead of the mean, and why."""

    channel: int
    num_channels: int
    loss: Loss

    @property
    def note(self) -> str:
        """Say it to the user."""
        return f"channel {self.channel + 1} of {self.num_channels} was used: {self.loss.value}"


class _Second(NamedTuple):
    """Measures of one second, of each channel and, last, of what they were mixed to."""

    power: Float[np.ndarray, " signals"]  # in the band of the voice
    range_db: Float[np.ndarray, " signals"]  # from loud to quiet, in the band of the voice
    whole_range_db: Float[np.ndarray, " signals"]  # at all frequencies
    shared_power: Float[np.ndarray, " signals"]  # with the mix, in the band of the voice


class Downmix:
    """Mixes blocks of channels to one; the number of channels may change midway."""

    def __init__(
        self, choices: Mapping[int, Choice] | None = None, *, is_measured: bool = False
    ) -> None:
        """Mix by the mean, or by the channel that was chosen for a number of channels.

        Args:
            choices: by the number of channels.
            is_measured: measure a single channel, too.
        """
        self._choices = choices or {}
        self._is_measured = is_measured
        self._meters: dict[int, ChannelMeter] = {}

    def mix(self, channels: Channels) -> Float32[np.ndarray, " samples"]:
        """Return the mix of a block; what is not a number becomes silence."""
        channels = np.nan_to_num(channels, posinf=1.0, neginf=-1.0)
        num_channels = channels.shape[1]
        choice = self._choices.get(num_channels)
        mix = channels.mean(axis=1) if choice is None else channels[:, choice.channel]
        if num_channels > 1 or self._is_measured:
            self._meters.setdefault(num_channels, ChannelMeter()).add(channels, mix)
        return mix

    def choose(self) -> dict[int, Choice]:
        """Return the channels to use instead of means that lose them; usually none."""
        choices = (meter.choose() for meter in self._meters.values())
        return {choice.num_channels: choice for choice in choices if choice is not None}

    def range_db(self) -> float:
        """Return how far the level of the mix falls within a second; 0 if it was not measured."""
        return max((meter.range_db() for meter in self._meters.values()), default=0.0)


class ChannelMeter:
    """Measures channels and their mix second by second, and keeps no samples."""

    def __init__(self) -> None:
        self._blocks: list[Float32[np.ndarray, "samples signals"]] = []  # less than a second
        self._num_samples = 0  # in them
        self._seconds: list[_Second] = []

    def add(self, channels: Channels, mix: Float32[np.ndarray, " samples"]) -> None:
        """Measure the next samples; the number of channels stays."""
        self._blocks.append(np.column_stack([channels, mix]))
        self._num_samples += len(mix)
        if self._num_samples < SAMPLE_RATE_HZ:
            return
        signals = np.concatenate(self._blocks)
        num_whole = len(signals) // SAMPLE_RATE_HZ * SAMPLE_RATE_HZ
        for start in range(0, num_whole, SAMPLE_RATE_HZ):
            self._seconds.append(_measure(signals[start : start + SAMPLE_RATE_HZ]))
        self._blocks = [signals[num_whole:].copy()]
        self._num_samples -= num_whole

    def range_db(self) -> float:
        """Return how far the level of the mix falls within a second; 0 for silence."""
        measures = self._all()
        return 0.0 if measures is None else _typical(measures.range_db, measures.power, -1)

    def choose(self) -> Choice | None:
        """Return the clearest channel if the mean of the channels loses it."""
        measures = self._all()
        if measures is None or measures.power.shape[1] == 2:  # one channel and its mix
            return None
        channel = _find_clearest(measures)
        loss = _find_loss(measures, channel)
        return None if loss is None else Choice(channel, measures.power.shape[1] - 1, loss)

    def _all(self) -> _Second | None:
        """Stack the measures of all seconds: second, signal."""
        seconds = list(self._seconds)
        if self._num_samples >= _MIN_FRAMES * _FRAME:
            seconds.append(_measure(np.concatenate(self._blocks)))
        return _Second(*map(np.stack, zip(*seconds, strict=True))) if seconds else None


def _measure(signals: Float32[np.ndarray, "samples signals"]) -> _Second:
    frames = signals[: len(signals) // _FRAME * _FRAME].reshape(-1, _FRAME, signals.shape[1])
    spectra = np.fft.rfft(frames * np.hanning(_FRAME)[:, None].astype(np.float32), axis=1) / _FRAME
    power = np.abs(spectra) ** 2  # frame, frequency, signal
    voice = power[:, _VOICE].sum(axis=1)
    shared = (spectra * spectra[..., -1:].conj()).real[:, _VOICE].sum(axis=(0, 1))
    return _Second(
        power=voice.sum(axis=0),
        range_db=_range_db(voice),
        whole_range_db=_range_db(power[:, _AUDIBLE].sum(axis=1)),
        shared_power=shared,
    )


def _range_db(power: Float[np.ndarray, "frames signals"]) -> Float[np.ndarray, " signals"]:
    levels = np.sort(10 * np.log10(power + _MIN_POWER), axis=0)
    quiet, loud = round(0.1 * (len(levels) - 1)), round(0.95 * (len(levels) - 1))
    return np.asarray(levels[loud] - levels[quiet])


def _active(power: Float[np.ndarray, "seconds signals"], signal: int) -> np.ndarray:
    """Return which seconds of a signal are no pause."""
    return np.asarray(power[:, signal] >= _ACTIVE_POWER * power[:, signal].max())


def _typical(
    range_db: Float[np.ndarray, "seconds signals"],
    power: Float[np.ndarray, "seconds signals"],
    signal: int,
) -> float:
    return float(np.median(range_db[_active(power, signal), signal]))


def _find_clearest(measures: _Second) -> int:
    """Return the channel whose level falls furthest; among those alike, the loudest."""
    power = measures.power[:, :-1].sum(axis=0)  # second, channel -> channel
    clear_db = np.array(
        [
            min(_typical(measures.range_db, measures.power, channel), _CLEAR_DB)
            if power[channel] > _EMPTY_POWER * power.max()
            else -np.inf
            for channel in range(len(power))
        ]
    )
    alike = clear_db >= clear_db.max() - _ALIKE_DB
    return int(np.where(alike, power, -1.0).argmax())


def _find_loss(measures: _Second, channel: int) -> Loss | None:
    """Compare the mean with its clearest channel, while that is active."""
    active = _active(measures.power, channel)
    power = measures.power[active].sum(axis=0)
    if power[channel] == 0:
        return None
    num_channels = len(power) - 1
    share = measures.shared_power[active, channel].sum() / power[channel] * num_channels
    if share < _MIN_SHARE:
        return Loss.CANCELLED
    if power[-1] * 10 ** (_MAX_LOSS_DB / 10) < power[channel]:
        return Loss.QUIET
    best, mean = (
        float(np.median(measures.whole_range_db[active, signal])) for signal in (channel, -1)
    )
    return (
        Loss.DROWNED
        if mean < MIN_VOICE_RANGE_DB <= best and best - mean >= MIN_VOICE_RANGE_DB
        else None
    )
