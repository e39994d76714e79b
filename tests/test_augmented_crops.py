"""Crops -> as another camera might see them, or covered: what changes, and what stays."""

import dataclasses

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float

from oragen.finetuning.augmentation import (
    CropAugmentation,
    augment_crop,
    can_cover,
    cover_face,
)
from oragen.finetuning.augmentation.crops import blur, change_colours, flip, zoom
from oragen.finetuning.augmentation.face_frames import (
    TEMPLATE,
    FaceFrame,
    Landmarks,
    Surface,
    fit_face,
    look_up,
)
from oragen.finetuning.augmentation.mask_designs import SURFACES
from oragen.finetuning.augmentation.masks import Rgb
from oragen.schema.vocabulary import MASK_TYPES

CLOSED_MASKS = ["tissue", "medical", "ffp", "respirator"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only_crop(**changes: float | tuple[str, ...]) -> CropAugmentation:
    names = [field.name for field in dataclasses.fields(CropAugmentation)]
    zeros = {name: 0.0 for name in names if name.endswith("_probability")}
    return CropAugmentation(**{**zeros, **changes})  # type: ignore[arg-type]


def textured_crop(side_px: int = 160) -> Rgb:
    """Skin-coloured, with a soft texture that shines through what is see-through."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(side_px) / 3)[:, None] * np.sin(np.arange(side_px) / 4)[None]
    skin = np.array([190, 150, 130]) + 25 * wave[..., None]
    return np.asarray(skin + rng.integers(-3, 4, skin.shape), np.uint8)


def place(
    points: Float[np.ndarray, "points 2"],
    *,
    unit_px: float = 40.0,
    centre: tuple[float, float] = (80.0, 50.0),
    tilt_degrees: float = 0.0,
) -> Float[np.ndarray, "points 2"]:
    """Face coordinates -> pixels of a face that looks straight ahead."""
    tilt = np.deg2rad(tilt_degrees)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return np.asarray(unit_px * points @ turn.T + centre)


FRONTAL: Landmarks = place(TEMPLATE[:, :2])
FOREHEAD = np.array([[0.0, -0.5], [-0.5, -0.5], [0.5, -0.5], [0.0, -1.0], [0.5, 0.0], [-0.5, 0.0]])
MOUTH = np.array([[0.0, 1.1], [-0.35, 1.15], [0.35, 1.15], [0.0, 1.4]])


def changed(before: Rgb, after: Rgb) -> Bool[np.ndarray, "height width"]:
    difference: Bool[np.ndarray, "height width"] = (before != after).any(-1)
    return difference


def at(
    picture: Bool[np.ndarray, "height width"], points: Float[np.ndarray, "points 2"]
) -> list[bool]:
    x, y = np.rint(points).astype(int).T
    return [bool(value) for value in picture[y, x]]


def covered(
    landmarks: Landmarks, mask_type: str, *, crop: Rgb | None = None, seed: int = 0
) -> Bool[np.ndarray, "height width"]:
    crop = textured_crop() if crop is None else crop
    result = cover_face(crop, landmarks=landmarks, mask_type=mask_type, generator=seeded(seed)).crop
    return changed(crop, result)


def middle_of(area: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "2"]:
    """Return the mean x and y."""
    return np.asarray(np.argwhere(area).mean(0)[::-1])


def test_landmarks_at_the_template_give_its_own_camera() -> None:
    frame = fit_face(FRONTAL)
    np.testing.assert_allclose(frame.axes, [[40, 0, 0], [0, 40, 0]], atol=1e-9)
    np.testing.assert_allclose(frame.origin, [80, 50])
    assert frame.unit_px == pytest.approx(40)


def test_a_turned_face_is_recognised_by_its_nose() -> None:
    turned = FaceFrame(
        axes=np.array([[30.0, 0, -20.0], [0, 40.0, 5.0]]), origin=np.array([80.0, 50.0])
    )
    frame = fit_face(turned.to_pixels(TEMPLATE))
    np.testing.assert_allclose(frame.axes, turned.axes, atol=1e-9)


def test_each_pixel_shows_the_surface_point_that_lands_on_it() -> None:
    turned = FaceFrame(
        axes=np.array([[30.0, -4.0, -20.0], [3.0, 40.0, 0.0]]), origin=np.array([80.0, 50.0])
    )
    surface = Surface(depth=0.5, bend=1.0, taper=0.0)
    view = look_up(turned, surface, height_px=160, width_px=160)
    expected = surface.lift(view.x.astype(float), view.y.astype(float))
    rows, columns = np.mgrid[:160, :160].astype(float)
    landed = turned.to_pixels(expected)
    clear = view.visible == 1
    assert clear.mean() > 0.4
    np.testing.assert_allclose(landed[clear], np.dstack([columns, rows])[clear], atol=0.01)


def test_the_far_cheek_of_a_turned_face_is_hidden() -> None:
    # x = 30 X - 20 (0.5 - X^2) has no solution left of its minimum at X = -0.75: -21.25 pixels
    turned = FaceFrame(
        axes=np.array([[30.0, 0.0, -20.0], [0.0, 40.0, 0.0]]), origin=np.array([80.0, 50.0])
    )
    view = look_up(turned, Surface(0.5, 1.0, 0.0), height_px=2, width_px=160)
    assert view.visible[0, 58] == 0  # -22
    assert view.visible[0, 60] == 1  # -20


@pytest.mark.parametrize("mask_type", CLOSED_MASKS)
@pytest.mark.parametrize("tilt_degrees", [0.0, 30.0, -45.0])
@pytest.mark.parametrize("unit_px", [18.0, 40.0])
def test_a_mask_covers_the_mouth_and_not_eyes_or_forehead(
    mask_type: str, tilt_degrees: float, unit_px: float
) -> None:
    landmarks = place(TEMPLATE[:, :2], unit_px=unit_px, tilt_degrees=tilt_degrees)
    area = covered(landmarks, mask_type)
    mouth = place(MOUTH, unit_px=unit_px, tilt_degrees=tilt_degrees)
    forehead = place(FOREHEAD, unit_px=unit_px, tilt_degrees=tilt_degrees)
    assert all(at(area, mouth))
    assert not any(at(area, forehead))


@pytest.mark.parametrize("mask_type", CLOSED_MASKS)
def test_nothing_shines_through_a_closed_mask(mask_type: str) -> None:
    first, second = (
        cover_face(crop, landmarks=FRONTAL, mask_type=mask_type, generator=seeded()).crop
        for crop in (textured_crop(), textured_crop()[::-1, ::-1].copy())
    )
    x, y = np.rint(place(MOUTH)).astype(int).T
    difference = np.abs(first[y, x].astype(int) - second[y, x])
    assert difference.max() <= 12  # the light on it is that of the face


@pytest.mark.parametrize("mask_type", CLOSED_MASKS)
def test_a_mask_follows_the_landmarks(mask_type: str) -> None:
    moved = covered(FRONTAL + np.array([8.0, -11.0]), mask_type)
    shift = middle_of(moved) - middle_of(covered(FRONTAL, mask_type))
    np.testing.assert_allclose(shift, [8, -11], atol=1.0)


def test_a_mask_turns_with_the_head() -> None:
    upright, tilted = (
        middle_of(covered(place(TEMPLATE[:, :2], tilt_degrees=tilt), "medical")) - (80, 50)
        for tilt in (0.0, 30.0)
    )
    turned = [-np.sin(np.pi / 6) * upright[1], np.cos(np.pi / 6) * upright[1]]
    np.testing.assert_allclose(tilted, turned, atol=2.0)


def test_a_mask_shrinks_on_the_far_cheek_of_a_turned_face() -> None:
    turned = FRONTAL.copy()
    turned[2, 0] -= 12  # the nose points to the left of the picture
    row = covered(turned, "medical")[90]
    left, right = np.flatnonzero(row)[[0, -1]]
    assert 80 - left < 0.8 * (right - 80)


def test_equal_seeds_give_equal_masks_and_others_differ() -> None:
    first, again, other = (
        cover_face(
            textured_crop(), landmarks=FRONTAL, mask_type="tissue", generator=seeded(seed)
        ).crop
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("mask_type", sorted(SURFACES))
def test_the_covered_crop_is_labelled_and_the_bare_one_untouched(mask_type: str) -> None:
    crop = textured_crop()
    result = cover_face(crop, landmarks=FRONTAL, mask_type=mask_type, generator=seeded())
    assert result.mask_type == mask_type
    assert np.array_equal(crop, textured_crop())


@pytest.mark.parametrize("seed", range(5))
def test_a_shield_covers_the_face_but_can_be_seen_through(seed: int) -> None:
    crop = textured_crop()
    result = cover_face(crop, landmarks=FRONTAL, mask_type="shield", generator=seeded(seed)).crop
    face = slice(35, 115), slice(50, 110)  # below the head band
    assert changed(crop, result)[face].mean() > 0.95
    likeness = np.corrcoef(crop[face][..., 1].ravel(), result[face][..., 1].ravel())[0, 1]
    assert likeness > 0.5


def test_every_mask_type_but_none_has_an_overlay() -> None:
    assert set(SURFACES) == set(MASK_TYPES) - {"none"}
    with pytest.raises(ValueError, match="No overlay for mask type 'none'"):
        covered(FRONTAL, "none")


@pytest.mark.parametrize(
    "landmarks",
    [
        np.full((5, 2), 50.0),  # one spot
        np.column_stack([np.linspace(20, 90, 5)] * 2),  # one line
        FRONTAL + np.array([300.0, 0.0]),  # elsewhere
    ],
)
def test_landmarks_without_a_face_are_refused(landmarks: Landmarks) -> None:
    assert not can_cover(textured_crop(), landmarks)
    with pytest.raises(ValueError, match="show no face"):
        covered(landmarks, "medical")


@pytest.mark.parametrize("mask_type", sorted(SURFACES))
def test_a_mask_may_reach_over_the_edge_of_the_crop(mask_type: str) -> None:
    landmarks = place(TEMPLATE[:, :2], unit_px=70.0, centre=(20.0, 60.0))
    assert covered(landmarks, mask_type).any()


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
