"""Crops -> as another camera might see them, or covered: what changes, and what stays."""

import dataclasses

import numpy as np
import pytest
import torch

from oragen.finetuning.augmentation import (
    CropAugmentation,
    augment_crop,
)
from oragen.finetuning.augmentation.crops import blur, change_colours, flip, zoom
from oragen.finetuning.augmentation.face_frames import (
    TEMPLATE,
    Landmarks,
)
from tests.face_crops import FRONTAL, changed, place, seeded, textured_crop


def only_crop(**changes: float | tuple[str, ...]) -> CropAugmentation:
    names = [field.name for field in dataclasses.fields(CropAugmentation)]
    zeros = {name: 0.0 for name in names if name.endswith("_probability")}
    return CropAugmentation(**{**zeros, **changes})  # type: ignore[arg-type]


def test_flipping_swaps_left_and_right() -> None:
    crop = textured_crop()
    assert np.array_equal(flip(crop), crop[:, ::-1])


def test_crops_may_be_read_only() -> None:
    crop = textured_crop()
    crop.setflags(write=False)
    augmented = augment_crop(
        crop, options=ALWAYS, landmarks=FRONTAL, mask_type="none", generator=seeded()
    )
    assert np.array_equal(crop, textured_crop())
    assert changed(crop, augmented.crop).any()


def test_zooming_keeps_the_share_of_the_area() -> None:
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (100, 200, 3)).copy()
    part = zoom(ramp, area=(0.25, 0.25), aspect=(1.0, 1.0), generator=seeded())
    assert part.shape == (100, 200, 3)
    assert int(np.ptp(part)) == pytest.approx(99, abs=1)  # 100 of the 200 columns


def test_zooming_at_the_whole_area_changes_nothing() -> None:
    crop = textured_crop()
    assert np.array_equal(zoom(crop, area=(1.0, 1.0), aspect=(1.0, 1.0), generator=seeded()), crop)


@pytest.mark.parametrize(
    ("brightness", "contrast", "saturation", "warmth", "expected"),
    [
        (1.0, 1.0, 1.0, 1.0, [120, 100, 80]),
        (0.5, 1.0, 1.0, 1.0, [60, 50, 40]),
        (1.0, 1.0, 0.0, 1.0, [103, 103, 103]),  # 0.2989 * 120 + 0.587 * 100 + 0.114 * 80 = 103.7
        (1.0, 1.0, 1.0, 1.25, [150, 100, 64]),
        (1.0, 0.0, 1.0, 1.0, [103, 103, 103]),
    ],
)
def test_colours_change_by_their_factors(
    brightness: float, contrast: float, saturation: float, warmth: float, expected: list[int]
) -> None:
    plain = np.full((4, 4, 3), [120, 100, 80], np.uint8)
    changed_crop = change_colours(
        plain, brightness=brightness, contrast=contrast, saturation=saturation, warmth=warmth
    )
    np.testing.assert_allclose(changed_crop[1, 2], expected, atol=1)


def test_blur_spreads_a_dot_and_keeps_its_light() -> None:
    dot = np.zeros((21, 21, 3), np.uint8)
    dot[10, 10] = 250
    blurred = blur(dot, sigma_px=1.0)
    assert blurred[10, 10, 0] == pytest.approx(250 / (2 * np.pi), abs=2)
    assert int(blurred[..., 0].sum()) == pytest.approx(250, abs=8)


def test_a_crop_with_all_probabilities_0_stays_as_it_is_bit_for_bit() -> None:
    augmented = augment_crop(
        textured_crop(),
        options=only_crop(),
        landmarks=FRONTAL,
        mask_type="none",
        generator=seeded(),
    )
    assert np.array_equal(augmented.crop, textured_crop())
    assert augmented.mask_type == "none"


ALWAYS = CropAugmentation(
    cover_probability=1.0, flip_probability=1.0, zoom_probability=1.0, colour_probability=1.0,
    blur_probability=1.0,
)  # fmt: skip


@pytest.mark.parametrize("side_px", [96, 160])
def test_a_crop_keeps_its_size_and_follows_its_seed(side_px: int) -> None:
    landmarks = place(TEMPLATE[:, :2], unit_px=side_px / 4, centre=(side_px / 2, side_px / 3))
    first, again, other = (
        augment_crop(
            textured_crop(side_px),
            options=ALWAYS,
            landmarks=landmarks,
            mask_type=None,
            generator=seeded(seed),
        )
        for seed in (1, 1, 2)
    )
    assert first.crop.shape == (side_px, side_px, 3)
    assert np.array_equal(first.crop, again.crop)
    assert not np.array_equal(first.crop, other.crop)


def test_a_covered_crop_gets_the_label_of_its_mask() -> None:
    options = only_crop(cover_probability=1.0, cover_mask_types=("respirator",))
    augmented = augment_crop(
        textured_crop(), options=options, landmarks=FRONTAL, mask_type="none", generator=seeded()
    )
    assert augmented.mask_type == "respirator"
    assert changed(textured_crop(), augmented.crop).any()


@pytest.mark.parametrize(
    ("landmarks", "mask_type"), [(FRONTAL, "ffp"), (None, "none"), (FRONTAL + 500.0, "none")]
)
def test_a_masked_face_and_one_without_landmarks_is_not_covered(
    landmarks: Landmarks | None, mask_type: str
) -> None:
    augmented = augment_crop(
        textured_crop(),
        options=only_crop(cover_probability=1.0),
        landmarks=landmarks,
        mask_type=mask_type,
        generator=seeded(),
    )
    assert np.array_equal(augmented.crop, textured_crop())
    assert augmented.mask_type == mask_type


def test_global_randomness_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    augment_crop(
        textured_crop(), options=ALWAYS, landmarks=FRONTAL, mask_type=None, generator=seeded()
    )
    assert torch.equal(torch.get_rng_state(), before)
