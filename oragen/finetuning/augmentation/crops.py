"""A face crop and a generator -> the crop as of another camera, or behind a mask."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torchvision.transforms.v2.functional as image_functional
from jaxtyping import UInt8
from torch import Tensor

from oragen.finetuning.augmentation.draws import choose, happens, uniform
from oragen.finetuning.augmentation.face_frames import Landmarks
from oragen.finetuning.augmentation.masks import can_cover, cover_face

Rgb = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class CropAugmentation:
    """How often each change happens (0 = never, 1 = always) and how far it may go."""

    cover_probability: float = 0.3
    cover_mask_types: tuple[str, ...] = ("tissue", "medical", "ffp", "respirator", "shield")
    flip_probability: float = 0.5
    zoom_probability: float = 0.5
    zoom_area: tuple[float, float] = (0.7, 1.0)  # share of the crop that is kept
    zoom_aspect: tuple[float, float] = (0.9, 1.1)  # width to height
    colour_probability: float = 0.5
    brightness: tuple[float, float] = (0.7, 1.3)  # 1 = unchanged, as for the other factors
    contrast: tuple[float, float] = (0.7, 1.3)
    saturation: tuple[float, float] = (0.6, 1.4)
    warmth: tuple[float, float] = (0.9, 1.1)  # above 1 = redder
    blur_probability: float = 0.2
    blur_share: tuple[float, float] = (0.002, 0.01)  # standard deviation to width


class AugmentedCrop(NamedTuple):
    """A crop of the same size, and the mask type in it."""

    crop: Rgb
    mask_type: str | None  # None = unknown


def augment_crop(
    crop: Rgb,
    *,
    options: CropAugmentation,
    landmarks: Landmarks | None,
    mask_type: str | None,
    generator: torch.Generator,
) -> AugmentedCrop:
    """Cover, mirror, zoom, colour and blur a crop, each with its probability.

    A face is covered only if it has landmarks and no label of a mask. It then gets the label of its
    new mask. The landmarks are those of `crop`, see `masks.cover_face`.
    """
    is_bare = landmarks is not None and mask_type in (None, "none") and can_cover(crop, landmarks)
    if landmarks is not None and is_bare and happens(options.cover_probability, generator):
        crop, mask_type = cover_face(
            crop,
            landmarks=landmarks,
            mask_type=choose(options.cover_mask_types, generator),
            generator=generator,
        )
    return AugmentedCrop(
        _recolour(_reframe(crop, options, generator), options, generator), mask_type
    )


def _reframe(crop: Rgb, options: CropAugmentation, generator: torch.Generator) -> Rgb:
    if happens(options.flip_probability, generator):
        crop = flip(crop)
    if happens(options.zoom_probability, generator):
        crop = zoom(crop, area=options.zoom_area, aspect=options.zoom_aspect, generator=generator)
    return crop


def _recolour(crop: Rgb, options: CropAugmentation, generator: torch.Generator) -> Rgb:
    if happens(options.colour_probability, generator):
        crop = change_colours(
            crop,
            brightness=uniform(*options.brightness, generator),
            contrast=uniform(*options.contrast, generator),
            saturation=uniform(*options.saturation, generator),
            warmth=uniform(*options.warmth, generator),
        )
    if happens(options.blur_probability, generator):
        crop = blur(crop, sigma_px=crop.shape[1] * uniform(*options.blur_share, generator))
    return crop


def flip(crop: Rgb) -> Rgb:
    """Swap left and right."""
    return _to_rgb(image_functional.horizontal_flip(_to_tensor(crop)))


def zoom(
    crop: Rgb,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
    generator: torch.Generator,
) -> Rgb:
    """Keep a part of the crop, at its old size (Szegedy et al., CVPR 2015).

    `area` is the range of the part's share of the crop, `aspect` that of its width to height
    relative to the crop's own; both are drawn, as is the place.
    """
    height, width = crop.shape[:2]
    share = uniform(*area, generator)
    ratio = math.exp(uniform(math.log(aspect[0]), math.log(aspect[1]), generator))
    part_width = min(width, max(1, round(width * math.sqrt(share * ratio))))
    part_height = min(height, max(1, round(height * math.sqrt(share / ratio))))
    part = image_functional.resized_crop(
        _to_tensor(crop),
        top=choose(range(height - part_height + 1), generator),
        left=choose(range(width - part_width + 1), generator),
        height=part_height,
        width=part_width,
        size=[height, width],
        antialias=True,
    )
    return _to_rgb(part)


def change_colours(
    crop: Rgb, *, brightness: float, contrast: float, saturation: float, warmth: float
) -> Rgb:
    """Change brightness, contrast, saturation and warmth; 1 changes nothing.

    Warmth multiplies red and divides blue. Hue does not change: skin is never green, and
    torchvision's adjust_hue takes as long as everything else.
    """
    picture = image_functional.adjust_brightness(_to_tensor(crop), brightness)
    picture = image_functional.adjust_contrast(picture, contrast)
    picture = image_functional.adjust_saturation(picture, saturation)
    gains = np.diag([warmth, 1.0, 1.0 / warmth])
    return np.asarray(cv2.transform(_to_rgb(picture), gains), np.uint8)


def blur(crop: Rgb, *, sigma_px: float) -> Rgb:
    """Blur the face; OpenCV needs a sixth of torchvision's time."""
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma_px), np.uint8)


def _to_tensor(crop: Rgb) -> UInt8[Tensor, "3 height width"]:
    own = np.require(crop, requirements=["C", "W"])  # torch warns of read-only memory
    return torch.from_numpy(own).permute(2, 0, 1)  # height, width, 3 -> 3, height, width


def _to_rgb(picture: UInt8[Tensor, "3 height width"]) -> Rgb:
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())  # -> height, width, 3
