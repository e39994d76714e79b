"""A gender, an age and a random generator -> a speaker: lasting traits of voice and face.

Gender and age reach voice and face through separate noisy latents (`maleness`, `apparent age`),
so that a speaker who sounds atypical need not look atypical: the errors of the two modalities are
independent and fusion has something to gain.

Voice figures follow the phonetics literature in direction and size, with more overlap between
speakers than healthy adults show, so that one corpus of 50 speakers is learnable but not trivial:
speaking pitch about 120 Hz in men and 200 Hz in women, falling in older women and rising slightly
in old men (Eichhorn et al. 2018, J. Voice 32(5) 644.e1; Stathopoulos et al. 2011, JSLHR 54 1011);
formants about 17 % higher in women (Peterson and Barney 1952); harmonics-to-noise ratio falling
with age (Ferrand 2002, J. Voice 16(4) 480); slower articulation, more jitter, shimmer and tremor
in old age. The sizes of the ageing effects are approximations, larger than measured averages.
"""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

import numpy as np

Gender = Literal["female", "male"]
HairStyle = Literal["bald", "short", "medium", "long"]

YOUNGEST_YEARS: Final = 16
OLDEST_YEARS: Final = 85

# 1 / 0.62 standard deviations from the border leaves 5 % of speakers on the far side.
MALENESS_SPREAD: Final = 0.62
APPARENT_AGE_SPREAD_YEARS: Final = 6.5


@dataclass(frozen=True)
class VoiceTraits:
    """Traits of a voice in all clips; the last four are shares of the value they modulate."""

    pitch_hz: float
    pitch_range_semitones: float
    formant_scale: float  # 1 = the adult male vocal tract of the vowel table
    tilt_db_per_octave: float
    open_quotient: float
    syllables_per_s: float
    breathiness: float
    jitter: float
    shimmer: float
    tremor: float


@dataclass(frozen=True)
class FaceTraits:
    """Traits of a face in all clips, in half heights of the head or as shares from 0 to 1."""

    skin_tone: float  # 0 = darkest, 1 = palest
    skin_redness: float
    head_width: float
    jaw_width: float
    chin_width: float
    eye_size: float
    eye_spacing: float
    eye_hue: float
    brow_thickness: float
    brow_height: float
    brow_arch: float
    nose_width: float
    nose_length: float
    lip_fullness: float
    lip_redness: float
    beard: float  # 0 = clean-shaven, 0.3 = stubble, 1 = full
    hair_style: HairStyle
    hair_tone: float  # 0 = black, 1 = blond
    hair_redness: float
    hair_volume: float
    hairline: float  # height of the forehead
    parting: float  # -1 = left, 1 = right
    grey: float
    wrinkles: float
    sagging: float
    roughness: float
    spots: float


@dataclass(frozen=True)
class SpeakerTraits:
    """The labels of a speaker, and the traits drawn from them."""

    gender: Gender
    age_years: int
    voice: VoiceTraits
    face: FaceTraits


def draw_speaker(gender: Gender, age_years: int, rng: np.random.Generator) -> SpeakerTraits:
    """Labels -> a speaker whose traits follow them loosely."""
    voice = draw_voice(_maleness(gender, rng), _apparent_age(age_years, rng), rng)
    face = draw_face_traits(_maleness(gender, rng), _apparent_age(age_years, rng), rng)
    return SpeakerTraits(gender, age_years, voice, face)


def draw_voice(maleness: float, apparent_age_years: float, rng: np.random.Generator) -> VoiceTraits:
    """Latents -> a voice; `maleness` is -1 for the typical woman and 1 for the typical man."""
    old = _ramp(apparent_age_years, 22, 85)
    young = 1 - _ramp(apparent_age_years, 16, 45)
    age_shift = (0.07 if maleness > 0 else -0.12) * old + 0.05 * young
    return VoiceTraits(
        pitch_hz=float(np.exp(np.log(155) - 0.25 * maleness + age_shift + rng.normal(0, 0.06))),
        pitch_range_semitones=_around(rng, 2.6 - 0.4 * maleness - 0.5 * old, 0.5, 1.0, 5.0),
        formant_scale=_around(rng, 1.085 - 0.075 * maleness - 0.03 * old, 0.025, 0.92, 1.27),
        tilt_db_per_octave=_around(rng, -1.8 - 5.0 * old + 0.4 * maleness, 0.5, -9.0, -0.5),
        open_quotient=_around(rng, 0.62 - 0.05 * maleness + 0.04 * old, 0.03, 0.45, 0.8),
        syllables_per_s=_around(rng, 6.3 - 2.6 * _ramp(apparent_age_years, 16, 85), 0.3, 3.2, 7.2),
        breathiness=_around(rng, 0.04 + 0.40 * old - 0.015 * maleness, 0.025, 0.01, 0.6),
        jitter=_around(rng, 0.004 + 0.016 * old, 0.002, 0.001, 0.03),
        shimmer=_around(rng, 0.04 + 0.16 * old, 0.02, 0.01, 0.3),
        tremor=_around(rng, 0.002 + 0.022 * old, 0.003, 0.0, 0.04),
    )


def draw_face_traits(
    maleness: float, apparent_age_years: float, rng: np.random.Generator
) -> FaceTraits:
    """Latents -> a face; `maleness` is -1 for the typical woman and 1 for the typical man."""
    old = _ramp(apparent_age_years, 30, 85)
    child = 1 - _ramp(apparent_age_years, 14, 26)
    return FaceTraits(
        skin_tone=_around(rng, 0.66 - 0.09 * maleness + 0.05 * old, 0.13, 0.18, 1.0),
        skin_redness=_around(rng, 0.5 - 0.15 * old, 0.15, 0.0, 1.0),
        head_width=_around(rng, 0.715 + 0.012 * maleness + 0.02 * child, 0.02, 0.66, 0.78),
        jaw_width=_around(rng, 0.555 + 0.06 * maleness - 0.03 * child, 0.025, 0.45, 0.68),
        chin_width=_around(rng, 0.25 + 0.055 * maleness, 0.025, 0.15, 0.38),
        eye_size=_around(rng, 1.0 - 0.09 * maleness + 0.1 * child - 0.12 * old, 0.05, 0.75, 1.25),
        eye_spacing=_around(rng, 0.305, 0.012, 0.275, 0.34),
        eye_hue=float(rng.uniform()),
        brow_thickness=_around(rng, 0.054 + 0.023 * maleness, 0.005, 0.025, 0.09),
        brow_height=_around(rng, 0.19 - 0.032 * maleness - 0.02 * old, 0.012, 0.13, 0.25),
        brow_arch=_around(rng, 0.045 - 0.022 * maleness, 0.01, 0.0, 0.09),
        nose_width=_around(rng, 0.135 + 0.015 * maleness + 0.012 * old, 0.012, 0.1, 0.19),
        nose_length=_around(
            rng, 0.375 + 0.01 * maleness - 0.02 * child + 0.02 * old, 0.015, 0.3, 0.44
        ),
        lip_fullness=_around(rng, 1.0 - 0.22 * maleness - 0.35 * old, 0.1, 0.35, 1.4),
        lip_redness=_around(rng, 0.5 - 0.36 * maleness - 0.15 * old, 0.1, 0.0, 1.0),
        beard=_draw_beard(maleness, apparent_age_years, rng),
        hair_style=_draw_hair_style(maleness, apparent_age_years, rng),
        hair_tone=float(rng.beta(1.2, 2.0)),
        hair_redness=float(rng.beta(1.5, 3.0)),
        hair_volume=_around(rng, 0.10 - 0.04 * old, 0.02, 0.03, 0.16),
        hairline=_around(rng, 0.60 - 0.10 * old * max(maleness, 0.2), 0.03, 0.36, 0.68) * -1,
        parting=float(rng.uniform(-1, 1)),
        grey=_around(rng, _ramp(apparent_age_years, 34, 72), 0.08, 0.0, 1.0),
        wrinkles=_around(rng, 1.1 * _ramp(apparent_age_years, 24, 80), 0.06, 0.0, 1.1),
        sagging=_around(rng, _ramp(apparent_age_years, 40, 85), 0.08, 0.0, 1.0),
        roughness=_around(rng, 0.15 + 0.75 * old + 0.08 * maleness, 0.08, 0.05, 1.0),
        spots=_around(rng, _ramp(apparent_age_years, 45, 85), 0.12, 0.0, 1.0),
    )


def _maleness(gender: Gender, rng: np.random.Generator) -> float:
    match gender:
        case "female":
            typical = -1.0
        case "male":
            typical = 1.0
        case _:
            assert_never(gender)
    return float(np.clip(rng.normal(typical, MALENESS_SPREAD), -2.0, 2.0))


def _apparent_age(age_years: int, rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(age_years, APPARENT_AGE_SPREAD_YEARS), 13, 92))


def _draw_beard(maleness: float, age_years: float, rng: np.random.Generator) -> float:
    if maleness < 0.2 or age_years < 18:
        return 0.0
    return float(rng.choice([0.05, 0.3, 0.55, 1.0], p=[0.15, 0.4, 0.2, 0.25]))


def _draw_hair_style(maleness: float, age_years: float, rng: np.random.Generator) -> HairStyle:
    if maleness > 0.3 and rng.uniform() < 0.05 + 0.35 * _ramp(age_years, 35, 80):
        return "bald"
    length = -1.3 * maleness - 0.4 * _ramp(age_years, 40, 85) + rng.normal(0, 0.45)
    if length > 0.55:
        return "long"
    return "medium" if length > -0.15 else "short"


def _ramp(age_years: float, start_years: int, stop_years: int) -> float:
    return float(np.clip((age_years - start_years) / (stop_years - start_years), 0.0, 1.0))


def _around(rng: np.random.Generator, mean: float, spread: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, spread), low, high))
