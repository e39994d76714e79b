"""Masks of each type on a bare face -> what they cover, and how they follow the head."""

import numpy as np
import pytest
from jaxtyping import Bool, Float

from oragen.finetuning.augmentation import (
    can_cover,
    cover_face,
)
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
from tests.face_crops import FRONTAL, at, changed, place, seeded, textured_crop

CLOSED_MASKS = ["tissue", "medical", "ffp", "respirator"]
FOREHEAD = np.array([[0.0, -0.5], [-0.5, -0.5], [0.5, -0.5], [0.0, -1.0], [0.5, 0.0], [-0.5, 0.0]])
MOUTH = np.array([[0.0, 1.1], [-0.35, 1.15], [0.35, 1.15], [0.0, 1.4]])


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
