"""Face traits, a mask and an expression -> a painted head with shoulders."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from oragen.corpora.generator import hair
from oragen.corpora.generator.mask_shapes import cover
from oragen.corpora.generator.masks import Mask
from oragen.corpora.generator.painting import (
    HEIGHT_PX,
    WIDTH_PX,
    Canvas,
    Colour,
    Points,
    dimmed,
    ellipse,
    mirrored,
    mix,
    smooth,
)
from oragen.corpora.generator.speakers import FaceTraits

PALE_SKIN: Final[Colour] = (240, 203, 178)
DARK_SKIN: Final[Colour] = (112, 74, 54)
RED_SKIN: Final[Colour] = (222, 140, 118)
EYE_COLOURS: Final[tuple[Colour, ...]] = ((58, 36, 24), (74, 52, 32), (82, 98, 84), (70, 96, 120))
EYE_Y: Final = -0.02
MOUTH_Y: Final = 0.62


class Expression(NamedTuple):
    """Openings from 0 (closed) to 1."""

    mouth: float
    eyes: float


@dataclass(frozen=True)
class Look:
    """How one person looks in one clip; the same in all its pictures."""

    traits: FaceTraits
    mask: Mask
    clothes: Colour
    turn: float  # -1 = to the left, 1 = to the right
    skin_texture: NDArray[np.float32]  # gain of (height, width)
    spots: Points  # centres of age spots


def draw_look(traits: FaceTraits, mask: Mask, rng: np.random.Generator) -> Look:
    """A face and a mask -> the look of one clip."""
    clothes = rng.uniform(40, 190) + rng.normal(0, 30, size=3)
    spots = np.stack([rng.uniform(-0.6, 0.6, 14), rng.uniform(-0.7, 0.75, 14)], axis=1)  # spot, xy
    return Look(
        traits,
        mask,
        (float(clothes[0]), float(clothes[1]), float(clothes[2])),
        float(np.clip(rng.normal(0, 0.35), -1, 1)),
        _skin_texture(traits.roughness, rng),
        spots,
    )


def paint_head(look: Look, expression: Expression) -> Canvas:
    """Look and expression -> head and shoulders on a canvas."""
    canvas = Canvas.empty()
    skin = skin_colour(look.traits)
    outline = head_outline(look.traits, expression.mouth)
    hair.paint_back_hair(canvas, look.traits)
    _paint_body(canvas, look, skin)
    _paint_ears(canvas, look.traits, skin)
    canvas.fill(outline, skin, solid=True)
    _shade_head(canvas, look, outline)
    _paint_age(canvas, look, skin)
    hair.paint_beard(canvas, look.traits, outline, expression.mouth)
    _paint_nose(canvas, look, skin)
    _paint_mouth(canvas, look, skin, expression.mouth)
    for side in (-1, 1):
        _paint_eye(canvas, look, skin, side, expression.eyes)
        _paint_brow(canvas, look, side)
    _paint_wrinkles(canvas, look, skin)
    canvas.roughen(look.skin_texture, outline)
    hair.paint_front_hair(canvas, look.traits)
    cover(canvas, look.mask, look.traits, expression.mouth)
    np.clip(canvas.pixels, 0, 255, out=canvas.pixels)
    return canvas


def skin_colour(traits: FaceTraits) -> Colour:
    tone = mix(DARK_SKIN, PALE_SKIN, traits.skin_tone)
    return mix(tone, RED_SKIN, 0.3 * traits.skin_redness * traits.skin_tone)


def head_outline(traits: FaceTraits, mouth_opening: float) -> Points:
    """Crown -> temple -> cheek -> jaw -> chin, and back; the jaw drops with the mouth."""
    drop = 0.06 * mouth_opening
    width, jaw, chin = traits.head_width, traits.jaw_width, traits.chin_width
    sag = 0.03 * traits.sagging
    right = [
        (0, -1.0),
        (0.36 * width / 0.72, -0.93),
        (0.92 * width, -0.55),
        (1.0 * width, -0.12),
        (0.96 * width, 0.18),
        (jaw + 0.05 + sag, 0.46 + drop / 2),
        (jaw - 0.06 + sag, 0.68 + drop),
        (chin, 0.92 + drop),
        (0, 1.0 + drop),
    ]
    return smooth(mirrored(right).tolist(), closed=True)


def _paint_body(canvas: Canvas, look: Look, skin: Colour) -> None:
    neck_width = 0.72 * look.traits.jaw_width
    neck = [(neck_width, 0.5), (neck_width * 1.02, 1.15), (neck_width * 1.4, 1.5), (0, 1.75)]
    canvas.fill(smooth(mirrored(neck).tolist(), closed=True), dimmed(skin, 0.8), solid=True)
    canvas.shade((0, 1.05), (0.45, 0.14), 0.62)
    collar = 0.62 * look.traits.jaw_width
    shoulders = [(collar, 1.28), (1.0, 1.46), (1.55, 1.75), (1.75, 2.7), (0, 2.7)]
    left = [(-x, y) for x, y in reversed(shoulders[:-1])]
    dip = [(-0.25, 1.5), (0, 1.58), (0.25, 1.5)]
    body = smooth([*shoulders, *left, *dip], closed=True)
    canvas.fill(body, look.clothes, solid=True)
    canvas.stroke(smooth(dip), dimmed(look.clothes, 0.7), 0.04)
    for side in (-1, 1):
        canvas.shade((1.25 * side, 2.2), (0.3, 0.5), 0.8)


def _paint_ears(canvas: Canvas, traits: FaceTraits, skin: Colour) -> None:
    for side in (-1, 1):
        centre = (side * (traits.head_width + 0.03), 0.06)
        canvas.fill(ellipse(centre, (0.1, 0.2), degrees=8 * side), dimmed(skin, 0.85), solid=True)
        canvas.fill(ellipse(centre, (0.05, 0.12)), dimmed(skin, 0.62), softness=0.02)


def _shade_head(canvas: Canvas, look: Look, outline: Points) -> None:
    """Light from above and in front: sockets, nose sides and jaw fall into shadow."""
    width = look.traits.head_width
    for side in (-1, 1):
        canvas.shade((side * width * 1.02, 0.15), (0.16, 0.7), 0.72)
        canvas.shade((side * 0.46 + _shift(look, 0.4), 0.26), (0.17, 0.15), 1.1)
    canvas.shade((_shift(look, 0.5), -0.5), (0.4, 0.2), 1.1)
    canvas.shade((0, 1.02), (0.5, 0.1), 0.8)
    canvas.stroke(outline, (40, 25, 20), 0.03, opacity=0.25, softness=0.03, closed=True)


def _paint_age(canvas: Canvas, look: Look, skin: Colour) -> None:
    traits = look.traits
    strength = 0.35 * traits.spots
    for x, y in look.spots[: round(14 * traits.spots)]:
        canvas.fill(
            ellipse((x, y), (0.035, 0.028)), dimmed(skin, 0.6), opacity=strength, softness=0.01
        )
    for side in (-1, 1):
        canvas.shade((side * 0.52, 0.62), (0.08, 0.12), 1 - 0.22 * traits.sagging)
        cheek = ellipse((side * 0.44, 0.27), (0.14, 0.1))
        blush = 0.3 * traits.skin_redness * (1 - traits.sagging)
        canvas.fill(cheek, RED_SKIN, opacity=blush, softness=0.06)


def _paint_nose(canvas: Canvas, look: Look, skin: Colour) -> None:
    traits = look.traits
    x, tip = _shift(look, 0.9), traits.nose_length
    canvas.shade((x * 0.8, 0.1), (0.06, 0.24), 1.16)
    for side in (-1, 1):
        canvas.shade((x * 0.8 + side * 0.13, 0.05), (0.05, 0.17), 0.86)
        canvas.shade((x + side * (traits.nose_width + 0.02), tip - 0.02), (0.04, 0.07), 0.8)
        nostril = ellipse((x + side * 0.55 * traits.nose_width, tip + 0.02), (0.038, 0.02))
        canvas.fill(nostril, dimmed(skin, 0.28), opacity=0.85, softness=0.008)
    canvas.shade((x, tip - 0.07), (0.065, 0.05), 1.12)
    wings = smooth(
        [
            (x - traits.nose_width, tip - 0.05),
            (x - 0.8 * traits.nose_width, tip + 0.035),
            (x, tip + 0.065),
            (x + 0.8 * traits.nose_width, tip + 0.035),
            (x + traits.nose_width, tip - 0.05),
        ]
    )
    canvas.stroke(wings, dimmed(skin, 0.45), 0.025, opacity=0.6, softness=0.012)


def _paint_mouth(canvas: Canvas, look: Look, skin: Colour, opening: float) -> None:
    traits = look.traits
    x, gap = _shift(look, 0.7), 0.17 * opening
    half = 0.25 - 0.04 * opening
    full = 0.055 * traits.lip_fullness
    lips = mix(dimmed(skin, 0.72), (178, 52, 62), 0.15 + 0.5 * traits.lip_redness)
    corners = [(x - half, MOUTH_Y), (x + half, MOUTH_Y)]
    upper = [(x + 0.09, MOUTH_Y - full), (x, MOUTH_Y - 0.75 * full), (x - 0.09, MOUTH_Y - full)]
    lower_y = MOUTH_Y + gap
    lower = [
        (x - 0.12, lower_y + 1.15 * full),
        (x, lower_y + 1.3 * full),
        (x + 0.12, lower_y + 1.15 * full),
    ]
    canvas.shade((x, lower_y + 0.12), (0.16, 0.04), 0.82)
    canvas.fill(smooth([corners[0], *lower, corners[1], *upper], closed=True), lips, softness=0.008)
    inner = [
        (x - 0.85 * half, MOUTH_Y),
        (x, MOUTH_Y - 0.01),
        (x + 0.85 * half, MOUTH_Y),
        (x + 0.1, lower_y + 0.012),
        (x - 0.1, lower_y + 0.012),
    ]
    mouth = smooth(inner, closed=True)
    canvas.fill(mouth, (52, 18, 20))
    if opening > 0.25:
        teeth = ellipse((x, MOUTH_Y), (0.14, 0.22 * gap + 0.012))
        canvas.fill(teeth, (225, 215, 200), opacity=0.9, within=mouth)
    canvas.shade((x, lower_y + 0.7 * full), (0.09, 0.015), 1.15)


def _paint_eye(canvas: Canvas, look: Look, skin: Colour, side: int, opening: float) -> None:
    traits = look.traits
    x, y = side * traits.eye_spacing + _shift(look, 0.5), EYE_Y
    half = 0.145 * traits.eye_size
    high = 0.07 * traits.eye_size * max(opening, 0.12)
    canvas.shade((x - side * 0.02, y - 0.04), (0.15, 0.085), 0.66)
    lids = [(x - half, y + 0.012), (x - 0.4 * half, y - high), (x + 0.4 * half, y - high)]
    under = [
        (x + half, y + 0.012),
        (x + 0.4 * half, y + 0.75 * high),
        (x - 0.4 * half, y + 0.75 * high),
    ]
    almond = smooth([*lids, *under], closed=True)
    canvas.fill(almond, (226, 220, 214))
    iris = EYE_COLOURS[int(traits.eye_hue * len(EYE_COLOURS) * 0.999)]
    pupil = (x + 0.02 * look.turn, y - 0.005)
    canvas.fill(ellipse(pupil, (0.066, 0.066)), iris, within=almond)
    canvas.fill(ellipse(pupil, (0.03, 0.03)), (8, 6, 6), within=almond)
    canvas.fill(
        ellipse((pupil[0] + 0.02, y - 0.025), (0.012, 0.012)), (250, 250, 250), within=almond
    )
    lashes = 0.03 + 0.012 * (1.0 - traits.beard) * traits.lip_redness
    canvas.stroke(smooth([*lids, under[0]]), (28, 18, 16), lashes, opacity=0.9, softness=0.006)
    canvas.stroke(smooth([under[0], *under[1:], lids[0]]), dimmed(skin, 0.5), 0.014, opacity=0.6)
    crease = [(x - 0.9 * half, y - 0.06), (x, y - 0.115), (x + 0.95 * half, y - 0.055)]
    canvas.stroke(smooth(crease), dimmed(skin, 0.45), 0.016, opacity=0.6, softness=0.008)


def _paint_brow(canvas: Canvas, look: Look, side: int) -> None:
    traits = look.traits
    x, y = _shift(look, 0.5), EYE_Y - traits.brow_height
    inner, middle, outer = side * 0.14 + x, side * 0.33 + x, side * 0.5 + x
    thick, arch = traits.brow_thickness, traits.brow_arch
    brow = smooth(
        [
            (inner, y + 0.01),
            (middle, y - arch - 0.02),
            (outer, y + 0.03),
            (middle, y - arch - 0.02 + thick * 1.1),
            (inner, y + 0.01 + thick),
        ],
        closed=True,
    )
    canvas.fill(brow, dimmed(hair.hair_colour(traits, 0.6), 0.72), opacity=0.85, softness=0.014)


def _paint_wrinkles(canvas: Canvas, look: Look, skin: Colour) -> None:
    traits = look.traits
    dark, x = dimmed(skin, 0.42), _shift(look, 0.4)
    for index in range(round(4 * traits.wrinkles)):
        y = -0.38 - 0.085 * index
        line = smooth(
            [(x - 0.34, y + 0.02), (x - 0.12, y - 0.015), (x + 0.14, y), (x + 0.36, y + 0.025)]
        )
        canvas.stroke(line, dark, 0.017, opacity=0.5 * traits.wrinkles, softness=0.008)
    for side in (-1, 1):
        _paint_side_wrinkles(canvas, look, dark, side)


def _paint_side_wrinkles(canvas: Canvas, look: Look, dark: Colour, side: int) -> None:
    depth, x = look.traits.wrinkles, _shift(look, 0.5)
    eye = side * look.traits.eye_spacing + x
    fold = smooth([(side * 0.17 + x, 0.36), (side * 0.27 + x, 0.48), (side * 0.31 + x, 0.66)])
    canvas.stroke(fold, dark, 0.026, opacity=0.12 + 0.5 * depth, softness=0.014)
    bag = smooth([(eye - 0.12, 0.07), (eye, 0.125 + 0.03 * depth), (eye + 0.12, 0.07)])
    canvas.stroke(bag, dark, 0.022, opacity=0.1 + 0.5 * depth, softness=0.012)
    for lift in (-0.06, 0.0, 0.06)[: round(3 * depth)]:
        crow = smooth([(eye + side * 0.17, 0.0 + lift / 3), (eye + side * 0.29, 0.02 + lift)])
        canvas.stroke(crow, dark, 0.015, opacity=0.55 * depth, softness=0.006)
    if look.traits.sagging > 0.25:
        marionette = smooth([(side * 0.28 + x, 0.68), (side * 0.31 + x, 0.84)])
        canvas.stroke(marionette, dark, 0.02, opacity=0.4 * look.traits.sagging, softness=0.012)


def _skin_texture(roughness: float, rng: np.random.Generator) -> NDArray[np.float32]:
    fine = rng.standard_normal((HEIGHT_PX // 2, WIDTH_PX // 2), dtype=np.float32)
    grain = np.asarray(cv2.GaussianBlur(fine, (0, 0), 1.3))
    grain = np.asarray(cv2.resize(grain, (WIDTH_PX, HEIGHT_PX)))
    return np.asarray(1 + 0.055 * roughness * grain / grain.std(), dtype=np.float32)


def _shift(look: Look, depth: float) -> float:
    """Return how far a part moves when the head turns: the further it sticks out, the more."""
    return 0.09 * look.turn * depth
