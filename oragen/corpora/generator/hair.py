"""Face traits -> hair behind and in front of the head, and a beard."""

from typing import Final, assert_never

import numpy as np

from oragen.corpora.generator.painting import Canvas, Colour, Points, dimmed, mirrored, mix, smooth
from oragen.corpora.generator.speakers import FaceTraits

BLACK: Final[Colour] = (30, 24, 22)
BROWN: Final[Colour] = (84, 56, 38)
BLOND: Final[Colour] = (206, 170, 112)
RED: Final[Colour] = (146, 66, 32)
GREY: Final[Colour] = (198, 198, 198)
NUM_STRANDS: Final = 14


def hair_colour(traits: FaceTraits, grey_share: float = 1.0) -> Colour:
    """Return the colour of hair; brows and beard turn grey later (`grey_share` below 1)."""
    tone = mix(BLACK, BROWN, min(1.0, 2 * traits.hair_tone))
    tone = mix(tone, BLOND, max(0.0, 2 * traits.hair_tone - 1))
    tone = mix(tone, RED, 0.4 * traits.hair_redness * traits.hair_tone)
    return mix(tone, GREY, traits.grey * grey_share)


def paint_back_hair(canvas: Canvas, traits: FaceTraits) -> None:
    """Paint the hair behind face and neck."""
    match traits.hair_style:
        case "bald" | "short":
            return
        case "medium":
            bottom = 0.75
        case "long":
            bottom = 1.75
        case _:
            assert_never(traits.hair_style)
    width = traits.head_width + traits.hair_volume
    right = [
        (0, -1.0 - traits.hair_volume),
        (0.62 * width, -0.92),
        (1.05 * width, -0.4),
        (1.12 * width, 0.3),
        (1.1 * width, bottom - 0.15),
        (0.7 * width, bottom),
        (0, bottom - 0.1),
    ]
    colour = dimmed(hair_colour(traits), 0.78)
    canvas.fill(smooth(mirrored(right).tolist(), closed=True), colour, solid=True)
    _paint_strands(canvas, colour, width, bottom)


def paint_front_hair(canvas: Canvas, traits: FaceTraits) -> None:
    """Paint the cap of hair down to the hairline."""
    colour = hair_colour(traits)
    match traits.hair_style:
        case "bald":
            _paint_fringe_of_baldness(canvas, traits, colour)
        case "short":
            _paint_cap(canvas, traits, colour, sides_y=0.0)
        case "medium":
            _paint_cap(canvas, traits, colour, sides_y=0.35)
        case "long":
            _paint_cap(canvas, traits, colour, sides_y=0.5)
        case _:
            assert_never(traits.hair_style)


def paint_beard(canvas: Canvas, traits: FaceTraits, outline: Points, mouth_opening: float) -> None:
    """Paint stubble to full beard on cheeks, chin and upper lip."""
    if traits.beard == 0:
        return
    drop = 0.06 * mouth_opening
    jaw = traits.jaw_width
    right = [
        (0, 0.47),
        (0.3, 0.5),
        (0.42, 0.55),
        (jaw, 0.28),
        (jaw + 0.08, 0.3),
        (jaw, 0.8),
        (0, 1.1),
    ]
    beard = smooth(mirrored([(x, y + drop * (y > 0.6)) for x, y in right]).tolist(), closed=True)
    colour = dimmed(hair_colour(traits, 0.8), 0.8)
    canvas.fill(beard, colour, opacity=0.85 * traits.beard, softness=0.04, within=outline)


def _paint_cap(canvas: Canvas, traits: FaceTraits, colour: Colour, sides_y: float) -> None:
    width = traits.head_width + 0.6 * traits.hair_volume
    top = -1.0 - traits.hair_volume
    outer = [(0, top), (0.6 * width, -0.93 - 0.7 * traits.hair_volume), (1.02 * width, -0.5)]
    side = [(1.04 * width, -0.1), (1.03 * width, sides_y)]
    inner = [(0.97 * traits.head_width, sides_y - 0.05), (0.93 * traits.head_width, -0.25)]
    line = traits.hairline
    inner += [(0.8 * traits.head_width, line + 0.1), (0.4, line - 0.03)]
    half = [*outer, *side, *inner]
    left = [(-x, y) for x, y in reversed(half[1:])]
    part = (0.3 * traits.parting, line - 0.08)
    cap = smooth([*half, part, *left], closed=True)
    canvas.fill(cap, colour, softness=0.012, solid=True)
    _paint_sheen(canvas, traits, cap, colour)


def _paint_sheen(canvas: Canvas, traits: FaceTraits, cap: Points, colour: Colour) -> None:
    root = (0.3 * traits.parting, -1.0 - traits.hair_volume)
    for index, x in enumerate(np.linspace(-0.75, 0.75, NUM_STRANDS)):
        strand = smooth([root, ((root[0] + 1.3 * x) / 2, -0.85), (1.2 * x, -0.3)])
        gain = 1.22 if index % 2 else 0.75
        canvas.stroke(strand, dimmed(colour, gain), 0.03, opacity=0.45, softness=0.012, within=cap)


def _paint_fringe_of_baldness(canvas: Canvas, traits: FaceTraits, colour: Colour) -> None:
    width = traits.head_width
    for side in (-1, 1):
        fringe = smooth(
            [
                (side * 0.99 * width, -0.42),
                (side * 1.07 * width, -0.2),
                (side * 1.05 * width, 0.08),
                (side * 0.96 * width, 0.05),
                (side * 0.93 * width, -0.25),
            ],
            closed=True,
        )
        canvas.fill(fringe, colour, opacity=0.85, softness=0.02, solid=True)
    canvas.shade((0.1 * traits.parting, -0.8), (0.25, 0.1), 1.15)


def _paint_strands(canvas: Canvas, colour: Colour, width: float, bottom: float) -> None:
    for index, x in enumerate(np.linspace(0.55, 1.05, 6) * width):
        gain = 1.25 if index % 2 else 0.75
        for side in (-1, 1):
            strand = smooth(
                [(side * x * 0.9, -0.5), (side * x * 1.04, 0.3), (side * x, bottom - 0.1)]
            )
            canvas.stroke(strand, dimmed(colour, gain), 0.03, opacity=0.5, softness=0.012)
