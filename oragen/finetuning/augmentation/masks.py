"""A face crop and its landmarks -> the same face behind a mask."""

from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from oragen.finetuning.augmentation.draws import uniform
from oragen.finetuning.augmentation.face_frames import (
    FaceFrame,
    Landmarks,
    Surface,
    fit_face,
    look_up,
)
from oragen.finetuning.augmentation.mask_designs import SURFACES, paint_mask
from oragen.finetuning.augmentation.mask_layers import Extent, MaskLayer

Rgb = UInt8[np.ndarray, "height width 3"]

_FINENESS: Final = (0.5, 1.0)  # pixels of the layer for a pixel of the crop: cameras blur
_LAYER_UNIT_PX: Final = (10.0, 110.0)
_SMALLEST_UNIT_PX: Final = 4.0  # eyes nearer to each other: not a face to cover
_FLATTEST: Final = 0.15  # area of the face's x and y axes as a share of a square's


class CoveredCrop(NamedTuple):
    """A crop and the mask type in it."""

    crop: Rgb
    mask_type: str


def cover_face(
    crop: Rgb, *, landmarks: Landmarks, mask_type: str, generator: torch.Generator
) -> CoveredCrop:
    """Draw a mask over a bare face.

    Args:
        crop: the face, in 0..255.
        landmarks: pixels in the crop, as YuNet gives them: right eye, left eye, nose, right and
            left corner of the mouth.
        mask_type: one of `oragen.schema.vocabulary.MASK_TYPES`, but not `none`.
        generator: chooses colour, make and fit.

    Raises:
        ValueError: see `can_cover`; or the mask type is unknown.
    """
    if not can_cover(crop, landmarks):
        raise ValueError(f"The landmarks show no face here: {np.round(landmarks, 1).tolist()}.")
    frame = fit_face(landmarks)
    fineness = uniform(*_FINENESS, generator)
    layer_unit_px = float(np.clip(fineness * frame.unit_px, *_LAYER_UNIT_PX))
    layer = paint_mask(mask_type, layer_unit_px, generator)
    finished = _finish(layer, is_clear=mask_type == "shield", generator=generator)
    rows, columns = _reach(layer.extent, SURFACES[mask_type], frame, crop)
    covered, part = crop.copy(), crop[rows, columns]
    laid = _lay(finished, layer, frame.seen_from(columns.start, rows.start), mask_type, part)
    covered[rows, columns] = _blend(part, laid, _light(part, laid[..., 3]))
    return CoveredCrop(covered, mask_type)


def can_cover(crop: Rgb, landmarks: Landmarks) -> bool:
    """Whether landmarks span a face, not a line or a spot, with its mouth in the crop."""
    frame = fit_face(landmarks)
    area = abs(float(np.linalg.det(frame.axes[:, :2])))
    mouth_x, mouth_y = landmarks[3:].mean(0)
    has_mouth = 0 <= mouth_x < crop.shape[1] and 0 <= mouth_y < crop.shape[0]
    is_face = frame.unit_px > _SMALLEST_UNIT_PX and area > _FLATTEST * frame.unit_px**2
    return bool(has_mouth and is_face)


def _reach(extent: Extent, surface: Surface, frame: FaceFrame, crop: Rgb) -> tuple[slice, slice]:
    """Return the rows and columns of the crop that a mask layer may touch."""
    x = np.linspace(-extent.half_width, extent.half_width, 9)
    y = np.linspace(extent.top, extent.bottom, 5)
    points = frame.to_pixels(surface.lift(x[None], y[:, None]))
    height, width = crop.shape[:2]
    margin = 0.05 * frame.unit_px + 2  # between two of the points it may bulge a little further
    x1, y1 = (
        np.floor(points.min((0, 1)) - margin).clip(0, (width - 1, height - 1)).astype(int).tolist()
    )
    x2, y2 = np.ceil(points.max((0, 1)) + margin).clip(1, (width, height)).astype(int).tolist()
    return slice(y1, max(y2, y1 + 1)), slice(x1, max(x2, x1 + 1))


def _finish(
    layer: MaskLayer, *, is_clear: bool, generator: torch.Generator
) -> Float32[np.ndarray, "height width 4"]:
    """Return colour times opacity, and opacity, with relief, weave and a shadow on the skin."""
    x, y = layer.axes()
    cover = layer.cover.astype(np.float32) / 255
    if is_clear:
        return np.dstack([layer.paint * cover[..., None], cover])
    relief = cv2.GaussianBlur(layer.relief, (0, 0), 0.035 * layer.unit_px)
    roundness = (1.06 - 0.3 * x * x) * (1.05 - 0.12 * np.abs(y - 0.9))
    grain = torch.randn(cover.shape, generator=generator).numpy()
    shading = relief * ((roundness + 0.012 * grain) / 128)
    shadow = 0.4 * cv2.GaussianBlur(cover, (0, 0), 0.06 * layer.unit_px)
    colour = layer.paint * (shading * cover)[..., None]
    return np.dstack([colour, cover + (1 - cover) * shadow])


def _lay(
    finished: Float32[np.ndarray, "layer_height layer_width 4"],
    layer: MaskLayer,
    frame: FaceFrame,
    mask_type: str,
    crop: Rgb,
) -> Float32[np.ndarray, "height width 4"]:
    """Bend the layer around the face and project it into the crop."""
    height_px, width_px = crop.shape[:2]
    view = look_up(frame, SURFACES[mask_type], height_px=height_px, width_px=width_px)
    columns = (view.x + layer.extent.half_width) * layer.unit_px
    rows = (view.y - layer.extent.top) * layer.unit_px
    laid = cv2.remap(finished, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(laid * view.visible[..., None], np.float32)


def _light(
    crop: Rgb, opacity: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """Return the light on the face beneath, by side and brightness (1 = as in a studio).

    Skin itself is dark or light, so a mask takes on only a part of it. The exponents are by eye.
    """
    small = cv2.resize(crop, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
    luminance = cv2.GaussianBlur(small.mean(-1), (0, 0), 2.0)
    weight = cv2.resize(opacity, (16, 16), interpolation=cv2.INTER_AREA) + 1e-3
    mean = float((luminance * weight).sum() / weight.sum())
    level = float(np.clip((mean / 150) ** 0.5, 0.55, 1.1))
    light = level * np.clip(luminance / max(mean, 1.0), 0.5, 1.5) ** 0.6
    height_px, width_px = crop.shape[:2]
    return np.asarray(cv2.resize(light, (width_px, height_px)), np.float32)


def _blend(
    crop: Rgb,
    laid: Float32[np.ndarray, "height width 4"],
    light: Float32[np.ndarray, "height width"],
) -> Rgb:
    blended = crop * (1 - laid[..., 3:]) + laid[..., :3] * light[..., None]
    return np.asarray(np.clip(np.rint(blended), 0, 255), np.uint8)
