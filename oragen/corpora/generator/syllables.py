"""A voice's pace and a length -> tracks of articulation, 200 values a second.

The text is a made-up sequence of consonant-vowel(-consonant) syllables in phrases with pauses.
Vowel targets are the adult male means of Peterson and Barney (1952, JASA 24 175); consonants are
rough targets for noise bursts, frication, nasals and glides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from oragen.corpora.generator.speakers import VoiceTraits

CONTROL_RATE_HZ: Final = 200

Formants = tuple[float, float, float]

VOWELS_HZ: Final[tuple[Formants, ...]] = (
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (440, 1020, 2240),
    (300, 870, 2240),
    (640, 1190, 2390),
)
NEUTRAL_HZ: Final[Formants] = (500, 1500, 2500)


class Segment(NamedTuple):
    """A stretch of speech with constant targets; amplitudes from 0 to 1."""

    duration_s: float
    voicing: float = 0.0
    noise: float = 0.0
    noise_hz: float = 3000.0
    formants_hz: Formants = NEUTRAL_HZ
    opening: float = 0.0
    accent_semitones: float = 0.0
    phrase_position: float = 0.0


@dataclass(frozen=True)
class Articulation:
    """Tracks at `CONTROL_RATE_HZ`: all of length `steps`, `formants_hz` of (steps, 3)."""

    voicing: NDArray[np.float64]
    noise: NDArray[np.float64]
    noise_hz: NDArray[np.float64]
    formants_hz: NDArray[np.float64]
    opening: NDArray[np.float64]
    accent_semitones: NDArray[np.float64]
    phrase_position: NDArray[np.float64]


# Each onset is a list of segments at a speaking rate of 5 syllables a second.
ONSETS: Final[tuple[tuple[Segment, ...], ...]] = (
    (Segment(0.045, 0.05), Segment(0.015, 0.0, 0.7, 900)),  # p, b
    (Segment(0.04, 0.05), Segment(0.015, 0.0, 0.8, 4200)),  # t, d
    (Segment(0.045, 0.05), Segment(0.02, 0.0, 0.7, 2000)),  # k, g
    (Segment(0.085, 0.0, 0.75, 6000, opening=0.12),),  # s
    (Segment(0.085, 0.0, 0.8, 3400, opening=0.15),),  # sh
    (Segment(0.07, 0.1, 0.3, 4800, opening=0.08),),  # f, v
    (Segment(0.05, 0.25, 0.3, 1500, opening=0.3),),  # h
    (Segment(0.06, 0.5, formants_hz=(270, 1100, 2250)),),  # m
    (Segment(0.055, 0.5, formants_hz=(270, 1500, 2500), opening=0.1),),  # n
    (Segment(0.055, 0.7, formants_hz=(380, 1150, 2600), opening=0.2),),  # l
    (Segment(0.055, 0.7, formants_hz=(310, 800, 2200), opening=0.1),),  # w
    (Segment(0.055, 0.7, formants_hz=(290, 2150, 2900), opening=0.15),),  # j
)
CODAS: Final[tuple[tuple[Segment, ...], ...]] = (
    (),
    (),
    (Segment(0.05, 0.45, formants_hz=(270, 1500, 2500), opening=0.1),),
    (Segment(0.06, 0.0, 0.6, 5600, opening=0.1),),
    (Segment(0.05, 0.6, formants_hz=(420, 1300, 1800), opening=0.2),),
)


def articulate(voice: VoiceTraits, duration_s: float, rng: np.random.Generator) -> Articulation:
    """Traits -> the tracks of a made-up text that lasts `duration_s`, silence at both ends."""
    lead_s, tail_s = rng.uniform(0.12, 0.4, size=2)
    segments = [Segment(lead_s)]
    elapsed_s = lead_s
    for segment in _text(voice, rng):
        if elapsed_s + segment.duration_s > duration_s - tail_s:
            break
        segments.append(segment)
        elapsed_s += segment.duration_s
    return _tracks(segments, round(duration_s * CONTROL_RATE_HZ))


def _text(voice: VoiceTraits, rng: np.random.Generator) -> Iterator[Segment]:
    """Yield phrases and pauses without end."""
    while True:
        num_syllables = int(rng.integers(6, 14))
        for position in np.linspace(0.0, 1.0, num_syllables):
            yield from _syllable(voice, float(position), rng)
        yield Segment(float(rng.uniform(0.2, 0.5) * 5.0 / voice.syllables_per_s))


def _syllable(voice: VoiceTraits, position: float, rng: np.random.Generator) -> Iterator[Segment]:
    pace = 5.0 / voice.syllables_per_s * rng.uniform(0.85, 1.15) * (1.25 if position == 1 else 1)
    accent = float(rng.normal(0, 0.6) + 1.4 * (rng.uniform() < 0.3)) * voice.pitch_range_semitones
    for segment in _consonant(ONSETS, rng):
        yield _placed(segment, pace, accent / 2, position)
    yield _placed(_vowel(rng), pace, accent / 2, position)
    for segment in _consonant(CODAS, rng):
        yield _placed(segment, pace, 0.0, position)


def _consonant(
    inventory: tuple[tuple[Segment, ...], ...], rng: np.random.Generator
) -> tuple[Segment, ...]:
    return inventory[int(rng.integers(len(inventory)))]


def _vowel(rng: np.random.Generator) -> Segment:
    formants_hz = VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]
    opening = 0.35 + 0.65 * (formants_hz[0] - 270) / 460
    loudness = float(rng.uniform(0.75, 1.0))
    return Segment(
        float(rng.uniform(0.09, 0.15)), loudness, formants_hz=formants_hz, opening=opening
    )


def _placed(segment: Segment, pace: float, accent: float, position: float) -> Segment:
    return segment._replace(
        duration_s=segment.duration_s * pace, accent_semitones=accent, phrase_position=position
    )


def _tracks(segments: list[Segment], num_steps: int) -> Articulation:
    borders = np.cumsum([segment.duration_s for segment in segments]) * CONTROL_RATE_HZ
    which = np.searchsorted(borders, np.arange(num_steps), side="right")
    columns = [*segments, Segment(1.0)]  # the tail: silence after the last border

    def track(name: str, smoothing_steps: float) -> NDArray[np.float64]:
        values = np.array([segment._asdict()[name] for segment in columns], dtype=float)
        return np.asarray(gaussian_filter1d(values[which], smoothing_steps, axis=0))

    return Articulation(
        voicing=track("voicing", 2.0),
        noise=track("noise", 1.0),
        noise_hz=track("noise_hz", 0.5),
        formants_hz=track("formants_hz", 4.0),
        opening=track("opening", 5.0),
        accent_semitones=track("accent_semitones", 10.0),
        phrase_position=track("phrase_position", 4.0),
    )
