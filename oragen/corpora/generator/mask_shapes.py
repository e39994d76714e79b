"""A concrete mask and a painted head -> the head with the mask on."""

from collections.abc import Sequence

import cv2
import numpy as np

from oragen.corpora.generator.masks import WHITE, Mask
from oragen.corpora.generator.painting import (
    CENTRE_UNITS,
    HEIGHT_PX,
    UNIT_PX,
    WIDTH_PX,
    Canvas,
    Colour,
    Points,
    Real,
    dimmed,
    ellipse,
    mirrored,
    mix,
    smooth,
)
from oragen.corpora.generator.speakers import FaceTraits


def cover(canvas: Canvas, mask: Mask, traits: FaceTraits, mouth_opening: float) -> None:
    """Paint the mask over a finished face; the jaw pulls it down as the mouth opens."""
    drop = 0.05 * mouth_opening
    match mask.cut:
        case "none":
            return
        case "tissue":
            _paint_tissue(canvas, mask, traits, drop)
        case "medical":
            _paint_medical(canvas, mask, traits, drop)
        case "ffp":
            _paint_ffp(canvas, mask, traits, drop)
        case "respirator":
            _paint_respirator(canvas, mask, traits, drop)
        case "shield":
            _paint_shield(canvas, mask, traits)
        case unknown:
            raise ValueError(f"Mask type {unknown!r} has no drawing. Add one to {__name__}.")


def _top_y(mask: Mask) -> float:
    return 0.3 - 0.18 * mask.height


def _paint_tissue(canvas: Canvas, mask: Mask, traits: FaceTraits, drop: float) -> None:
    top, jaw = _top_y(mask), traits.jaw_width
    right = [
        (0, top),
        (0.3, top + 0.12),
        (jaw + 0.06, 0.3),
        (jaw + 0.05, 0.62),
        (0.34, 0.98),
        (0, 1.1),
    ]
    cloth = _outline(right, drop)
    _paint_loops(canvas, traits, dimmed(mask.colour, 0.85), 0.035, top)
    _paint_cloth(canvas, cloth, mask.colour)
    if mask.pattern_seed:
        _paint_pattern(canvas, mask, cloth)
    if mask.num_pleats:
        _paint_pleats(canvas, mask, jaw, top, drop)
    elif mask.folded:
        _paint_centre_fold(canvas, mask, top, drop)
    canvas.stroke(cloth, dimmed(mask.colour, 0.6), 0.02, opacity=0.6, softness=0.01, closed=True)


def _paint_medical(canvas: Canvas, mask: Mask, traits: FaceTraits, drop: float) -> None:
    top, jaw = _top_y(mask), traits.jaw_width
    right = [
        (0, top),
        (0.24, top + 0.1),
        (jaw + 0.03, 0.33),
        (jaw, 0.7),
        (0.36, 0.96),
        (0, 1.02),
    ]
    layer = _outline(right, drop)
    _paint_loops(canvas, traits, WHITE, 0.022, top)
    _paint_cloth(canvas, layer, mask.colour)
    _paint_pleats(canvas, mask, jaw, top, drop)
    wire = smooth([(-0.24, top + 0.12), (0, top + 0.035), (0.24, top + 0.12)])
    canvas.stroke(wire, mix(mask.colour, WHITE, 0.6), 0.035, opacity=0.8)
    canvas.stroke(layer, dimmed(mask.colour, 0.7), 0.02, opacity=0.6, closed=True)


def _paint_ffp(canvas: Canvas, mask: Mask, traits: FaceTraits, drop: float) -> None:
    top, jaw = _top_y(mask) - 0.03, traits.jaw_width
    right = [(0, top), (0.17, top + 0.1), (0.44, 0.36), (jaw, 0.62), (0.34, 0.98), (0, 1.08)]
    cup = _outline(right, drop)
    for y in (0.42, 0.66):
        _paint_head_strap(canvas, traits, mask.accent, 0.03, y)
    _paint_cloth(canvas, cup, mask.colour)
    if mask.folded:
        _paint_centre_fold(canvas, mask, top, drop)
    else:
        seam = smooth([(-0.46, 0.56 + drop), (0, 0.46 + drop), (0.46, 0.56 + drop)])
        canvas.stroke(seam, dimmed(mask.colour, 0.62), 0.022, opacity=0.7, softness=0.01)
        canvas.shade((0, 0.62 + drop), (0.2, 0.16), 1.07)
    if mask.valved:
        _paint_valve(canvas, (0.0 if not mask.folded else 0.2, 0.68 + drop), 0.1, mask.colour)
    canvas.fill(ellipse((0, top + 0.07), (0.14, 0.018)), (150, 154, 160), opacity=0.8)
    canvas.stroke(cup, dimmed(mask.colour, 0.6), 0.022, opacity=0.7, closed=True)


def _paint_respirator(canvas: Canvas, mask: Mask, traits: FaceTraits, drop: float) -> None:
    top = _top_y(mask)
    for y in (0.3, 0.68):
        _paint_head_strap(canvas, traits, dimmed(mask.colour, 0.7), 0.06, y)
    right = [(0, top), (0.13, top + 0.06), (0.3, 0.4), (0.44, 0.66), (0.3, 0.98), (0, 1.08)]
    piece = _outline(right, drop)
    _paint_cloth(canvas, piece, mask.colour)
    canvas.stroke(piece, dimmed(mask.colour, 0.5), 0.03, opacity=0.8, closed=True)
    radius = 0.2 if mask.folded else 0.16
    for side in (-1, 1):
        centre = (side * (0.42 + 0.4 * radius), 0.7 + drop)
        canvas.fill(
            ellipse(centre, (radius * 1.05, radius * 1.1)), dimmed(mask.colour, 0.6), solid=True
        )
        canvas.fill(ellipse(centre, (0.85 * radius, 0.9 * radius)), mask.accent)
        canvas.shade((centre[0] - 0.05, centre[1] - 0.07), (0.07, 0.07), 1.2)
        canvas.stroke(
            ellipse(centre, (0.5 * radius, 0.53 * radius)),
            dimmed(mask.accent, 0.7),
            0.02,
            closed=True,
        )
    _paint_valve(canvas, (0, 0.68 + drop), 0.13, dimmed(mask.colour, 0.8))


def _paint_shield(canvas: Canvas, mask: Mask, traits: FaceTraits) -> None:
    width = traits.head_width + 0.12
    right = [
        (0, -0.62),
        (width, -0.58),
        (width + 0.03, 0.3),
        (0.9 * width, 1.05),
        (0.5, 1.28),
        (0, 1.32),
    ]
    visor = smooth(mirrored(right).tolist(), closed=True, steps=4)
    canvas.fill(visor, mask.colour, opacity=0.12)
    _let_show(canvas, visor, 0.22)
    for x, wide in ((-0.42, 0.1), (-0.26, 0.035), (0.5, 0.05)):
        glare = np.array([(x, -0.55), (x + wide, -0.55), (x + wide - 0.22, 1.2), (x - 0.22, 1.2)])
        canvas.fill(glare, (255, 255, 255), opacity=0.3 * mask.glare, softness=0.02, within=visor)
    canvas.stroke(visor, (190, 200, 206), 0.03, opacity=0.75, closed=True, solid=True)
    band = smooth(
        [(-width, -0.55), (0, -0.62), (width, -0.55), (width, -0.72), (0, -0.8), (-width, -0.72)],
        closed=True,
    )
    canvas.fill(band, mask.accent, solid=True)
    canvas.stroke(band, dimmed(mask.accent, 0.6), 0.02, closed=True)


def _let_show(canvas: Canvas, outline: Points, matte: float) -> None:
    """Make the plastic of the visor faintly visible beside the head."""
    pixels = np.rint((outline + np.array(CENTRE_UNITS)) * UNIT_PX).astype(np.int32)
    plastic = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    cv2.fillPoly(plastic, [pixels], matte)
    bare = (canvas.matte < matte) & (plastic > 0)
    canvas.pixels[bare] = (225, 235, 240)
    np.maximum(canvas.matte, plastic, out=canvas.matte)


def _outline(right: Sequence[Sequence[Real]], drop: float) -> Points:
    return smooth(
        mirrored([(x, y + drop if y > 0.5 else y) for x, y in right]).tolist(), closed=True
    )


def _paint_cloth(canvas: Canvas, outline: Points, colour: Colour) -> None:
    canvas.stroke(outline, (20, 14, 12), 0.05, opacity=0.3, softness=0.03, closed=True)
    canvas.fill(outline, colour, solid=True)
    canvas.fill(
        ellipse((0, 0.42), (0.16, 0.2)),
        mix(colour, WHITE, 0.35),
        opacity=0.5,
        softness=0.07,
        within=outline,
    )
    for side in (-1, 1):
        canvas.fill(
            ellipse((side * 0.56, 0.6), (0.1, 0.32)),
            dimmed(colour, 0.6),
            opacity=0.7,
            softness=0.06,
            within=outline,
        )
    canvas.fill(
        ellipse((0, 1.06), (0.4, 0.1)),
        dimmed(colour, 0.6),
        opacity=0.7,
        softness=0.05,
        within=outline,
    )


def _paint_pleats(canvas: Canvas, mask: Mask, jaw: float, top: float, drop: float) -> None:
    for y in np.linspace(top + 0.3, 0.88, mask.num_pleats):
        pleat = smooth(
            [(-jaw + 0.02, y - 0.03 + drop), (0, y + 0.035 + drop), (jaw - 0.02, y - 0.03 + drop)]
        )
        canvas.stroke(pleat, dimmed(mask.colour, 0.66), 0.024, opacity=0.75, softness=0.008)
        canvas.stroke(pleat + np.array([0, 0.03]), mix(mask.colour, WHITE, 0.5), 0.018, opacity=0.5)


def _paint_centre_fold(canvas: Canvas, mask: Mask, top: float, drop: float) -> None:
    fold = smooth([(0, top), (0.02, 0.5), (0, 1.05 + drop)])
    canvas.stroke(fold, dimmed(mask.colour, 0.6), 0.022, opacity=0.7, softness=0.008)
    canvas.shade((0.14, 0.65), (0.12, 0.25), 0.92)


def _paint_pattern(canvas: Canvas, mask: Mask, outline: Points) -> None:
    rng = np.random.default_rng(mask.pattern_seed)
    radius = float(rng.uniform(0.025, 0.06))
    for x in np.arange(-0.6, 0.65, 4 * radius):
        for y in np.arange(0.15, 1.1, 4 * radius):
            spot = ellipse((x + rng.uniform(-radius, radius), y), (radius, radius))
            canvas.fill(spot, mask.accent, opacity=0.8, within=outline)


def _paint_loops(
    canvas: Canvas, traits: FaceTraits, colour: Colour, width: float, top: float
) -> None:
    for side in (-1, 1):
        ear = side * (traits.head_width + 0.02)
        edge = side * (traits.jaw_width + 0.02)
        loop = smooth([(edge, top + 0.2), (ear, -0.02), (ear, 0.2), (edge, 0.66)])
        canvas.stroke(loop, colour, width)


def _paint_head_strap(
    canvas: Canvas, traits: FaceTraits, colour: Colour, width: float, y: float
) -> None:
    for side in (-1, 1):
        far = (side * (traits.head_width + 0.0), y - 0.3 if y < 0.5 else y - 0.22)
        canvas.stroke(smooth([(side * 0.38, y + 0.04), far]), colour, width)


def _paint_valve(canvas: Canvas, centre: Sequence[Real], radius: float, colour: Colour) -> None:
    canvas.fill(ellipse(centre, (radius, 0.85 * radius)), dimmed(colour, 0.8))
    canvas.stroke(ellipse(centre, (radius, 0.85 * radius)), dimmed(colour, 0.5), 0.02, closed=True)
    for lift in (-0.35, 0.0, 0.35):
        y = centre[1] + lift * radius
        slit = np.array([(centre[0] - 0.6 * radius, y), (centre[0] + 0.6 * radius, y)])
        canvas.stroke(slit, dimmed(colour, 0.5), 0.014)
