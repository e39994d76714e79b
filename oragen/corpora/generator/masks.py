"""A mask type -> one concrete mask: its cut, colours, pleats and valve.

Looks vary within a type. Types overlap a little on purpose: a few masks have the cut of another
type, like a pleated cloth mask, a flat FFP mask on ear loops or a disposable respirator.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oragen.corpora.generator.painting import Colour, dimmed

WHITE: Final[Colour] = (236, 238, 240)
BLACK: Final[Colour] = (50, 50, 54)
PALE_BLUE: Final[Colour] = (160, 200, 226)
MEDICAL_COLOURS: Final[tuple[Colour, ...]] = (
    PALE_BLUE,
    PALE_BLUE,
    (138, 190, 214),
    (164, 212, 196),
    WHITE,
    (232, 178, 196),
    BLACK,
)
FFP_COLOURS: Final[tuple[Colour, ...]] = (WHITE, WHITE, (222, 226, 226), (190, 206, 220), BLACK)
RUBBER_COLOURS: Final[tuple[Colour, ...]] = (
    (70, 74, 80),
    (110, 114, 120),
    (52, 66, 92),
    (150, 154, 158),
)
CARTRIDGE_COLOURS: Final[tuple[Colour, ...]] = (
    (214, 84, 140),
    (200, 190, 90),
    (130, 130, 134),
    (86, 130, 80),
    (226, 226, 226),
)


LOOK_ALIKES: Final = {
    "tissue": "medical",
    "medical": "tissue",
    "ffp": "medical",
    "respirator": "ffp",
}
LOOK_ALIKE_SHARE: Final = 0.03


@dataclass(frozen=True)
class Mask:
    """One mask in one clip; `cut` is the mask type whose drawing it follows."""

    cut: str
    colour: Colour
    accent: Colour
    height: float  # how far up the nose: 0 = tip, 1 = between the eyes
    num_pleats: int
    folded: bool
    valved: bool
    pattern_seed: int
    glare: float


def draw_mask(mask_type: str, rng: np.random.Generator) -> Mask:
    """Mask type -> a mask of that type."""
    colour, accent = _draw_colours(mask_type, rng)
    return Mask(
        cut=LOOK_ALIKES.get(mask_type, mask_type)
        if rng.uniform() < LOOK_ALIKE_SHARE
        else mask_type,
        colour=colour,
        accent=accent,
        height=float(rng.uniform(0.2, 0.75)),
        num_pleats=3 if mask_type == "medical" else int(rng.choice([0, 0, 2])),
        folded=bool(rng.uniform() < 0.5),
        valved=bool(rng.uniform() < 0.4),
        pattern_seed=int(rng.integers(2**31)) if rng.uniform() < 0.5 else 0,
        glare=float(rng.uniform(0.4, 1.0)),
    )


def _draw_colours(mask_type: str, rng: np.random.Generator) -> tuple[Colour, Colour]:
    match mask_type:
        case "medical":
            return _pick(MEDICAL_COLOURS, rng), WHITE
        case "ffp":
            return _pick(FFP_COLOURS, rng), _pick(((230, 190, 60), WHITE, (90, 130, 190)), rng)
        case "respirator":
            return _pick(RUBBER_COLOURS, rng), _pick(CARTRIDGE_COLOURS, rng)
        case "shield":
            return (225, 235, 240), _pick((WHITE, (60, 110, 180), BLACK), rng)
        case _:
            free = rng.uniform(30, 215, size=3)
            any_colour = (float(free[0]), float(free[1]), float(free[2]))
            cloth = PALE_BLUE if rng.uniform() < 0.08 else any_colour
            return cloth, dimmed(any_colour, 0.5)


def _pick(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return colours[int(rng.integers(len(colours)))]
