import dataclasses

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from oragen.attenuation import ATTENUATION_DB
from oragen.augmentation import (
    CropAugmentation,
    WaveformAugmentation,
    augment_crop,
    augment_waveform,
    can_cover,
    cover_face,
)
from oragen.augmentation.bands import muffle
from oragen.augmentation.coverings import Rgb
from oragen.augmentation.crops import blur, change_colours, flip, zoom
from oragen.augmentation.draws import choose, happens, uniform
from oragen.augmentation.face_frames import (
    TEMPLATE,
    FaceFrame,
    Landmarks,
    Surface,
    fit_face,
    look_up,
)
from oragen.augmentation.lines import Codec, through_codec, to_phone_line
from oragen.augmentation.masks import SURFACES
from oragen.augmentation.waveforms import (
    add_white_noise,
    change_gain,
    change_speed,
    change_tempo,
    fit_length,
    invert,
)
from oragen.schema import MASK_TYPES, SAMPLE_RATE_HZ

CLOSED_MASKS = ["tissue", "medical", "ffp", "respirator"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(frequency_hz: float, num_samples: int = 16_000) -> Float[Tensor, " samples"]:
    time_s = torch.arange(num_samples) / SAMPLE_RATE_HZ
    return 0.3 * torch.sin(2 * torch.pi * frequency_hz * time_s)


def middle(waveform: Float[Tensor, " samples"]) -> Float[Tensor, " 8000"]:
    """Half a second away from both ends."""
    start = (len(waveform) - 8000) // 2
    return waveform[start : start + 8000]


def level_db(waveform: Float[Tensor, " samples"]) -> float:
    return 10 * float(middle(waveform).square().mean().log10())


def pitch_hz(waveform: Float[Tensor, " samples"]) -> float:
    return 2.0 * int(torch.fft.rfft(middle(waveform)).abs().argmax())


def only_waveform(**changes: float | tuple[int, int]) -> WaveformAugmentation:
    """Every probability 0, but for what is given."""
    names = [field.name for field in dataclasses.fields(WaveformAugmentation)]
    zeros = {name: 0.0 for name in names if name.endswith("_probability")}
    return WaveformAugmentation(**{**zeros, **changes})  # type: ignore[arg-type]


def only_crop(**changes: float | tuple[str, ...]) -> CropAugmentation:
    names = [field.name for field in dataclasses.fields(CropAugmentation)]
    zeros = {name: 0.0 for name in names if name.endswith("_probability")}
    return CropAugmentation(**{**zeros, **changes})  # type: ignore[arg-type]


# Draws


def test_probability_0_never_happens_and_1_always() -> None:
    generator = seeded()
    assert not any(happens(0.0, generator) for _ in range(1000))
    assert all(happens(1.0, generator) for _ in range(1000))


def test_draws_stay_in_their_range_and_reach_all_of_it() -> None:
    generator = seeded()
    numbers = [uniform(-2.0, 3.0, generator) for _ in range(1000)]
    assert min(numbers) >= -2
    assert max(numbers) < 3
    assert np.ptp(numbers) > 4.9
    assert {choose("abc", generator) for _ in range(100)} == {"a", "b", "c"}


# Waveforms, one change at a time


def test_inverting_swaps_the_sign_of_every_sample() -> None:
    assert invert(torch.tensor([0.5, -0.25, 0.0])).tolist() == [-0.5, 0.25, 0.0]


@pytest.mark.parametrize(("gain_db", "factor"), [(20.0, 10.0), (-20.0, 0.1), (0.0, 1.0)])
def test_gain_multiplies_by_its_decibels(gain_db: float, factor: float) -> None:
    changed = change_gain(torch.tensor([0.02, -0.05]), gain_db=gain_db)
    torch.testing.assert_close(changed, factor * torch.tensor([0.02, -0.05]))


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 30.0])
def test_noise_has_the_snr_asked_for_in_every_row(snr_db: float) -> None:
    clean = torch.stack([tone(200), 0.01 * tone(300)])
    noise = add_white_noise(clean, snr_db=snr_db, generator=seeded()) - clean
    ratio = clean.square().mean(-1) / noise.square().mean(-1)
    torch.testing.assert_close(10 * ratio.log10(), torch.full((2,), snr_db), atol=0.01, rtol=0)


def test_noise_is_white() -> None:
    noise = add_white_noise(tone(200), snr_db=-60.0, generator=seeded())
    power = torch.fft.rfft(noise).abs().square()[1:].reshape(4, 2000).mean(-1)
    assert float(power.max() / power.min()) < 1.2


def test_noise_leaves_silence_silent() -> None:
    noisy = add_white_noise(torch.zeros(100), snr_db=10.0, generator=seeded())
    assert noisy.tolist() == [0.0] * 100


@pytest.mark.parametrize(
    ("mask_type", "frequency_hz", "fit", "expected_db"),
    [
        ("medical", 4000, 1.0, 3.5),
        ("medical", 4000, 2.0, 7.0),
        ("tissue", 2000, 1.0, 3.0),
        ("ffp", 500, 1.0, 0.0),
        ("respirator", 1000, 1.0, 4.0),
        ("shield", 1000, 1.0, -4.0),  # louder
        ("shield", 3000, 1.0, 7.5),  # half-way between 4 dB at 2 kHz and 11 dB at 4 kHz
    ],
)
def test_a_mask_weakens_a_tone_as_its_curve_says(
    mask_type: str, frequency_hz: int, fit: float, expected_db: float
) -> None:
    clean = tone(frequency_hz)
    muffled = muffle(clean, mask_type=mask_type, fit=fit, ripple_db=0.0, generator=seeded())
    assert level_db(clean) - level_db(muffled) == pytest.approx(expected_db, abs=0.1)


def test_no_mask_does_not_muffle() -> None:
    clean = tone(440)
    assert torch.equal(
        muffle(clean, mask_type="none", fit=1.0, ripple_db=3.0, generator=seeded()), clean
    )


def test_ripple_makes_two_masks_of_a_type_differ() -> None:
    first, second = (
        muffle(tone(4000), mask_type="ffp", fit=1.0, ripple_db=1.0, generator=seeded(seed))
        for seed in (1, 2)
    )
    assert abs(level_db(first) - level_db(second)) > 0.1


def test_muffling_moves_nothing_in_time() -> None:
    click = torch.zeros(4000)
    click[1000] = 0.5
    muffled = muffle(click, mask_type="respirator", fit=1.0, ripple_db=0.0, generator=seeded())
    assert int(muffled.abs().argmax()) == 1000
    assert float(muffled[2500:].abs().max()) < 1e-3


def test_every_mask_type_has_its_attenuation() -> None:
    assert tuple(ATTENUATION_DB) == MASK_TYPES


def test_speed_multiplies_the_pitch() -> None:
    faster = change_speed(tone(400, 64_000), percent=105)
    assert len(faster) == 60_953  # 64000 / 1.05 = 60952.4
    assert pitch_hz(faster) == 420


def test_speed_of_100_percent_changes_nothing() -> None:
    assert torch.equal(change_speed(tone(440), percent=100), tone(440))


@pytest.mark.parametrize(("tempo", "length"), [(1.25, 51_200), (0.8, 80_000)])
def test_tempo_keeps_pitch_and_loudness(tempo: float, length: int) -> None:
    changed = change_tempo(tone(440, 64_000), tempo=tempo)
    assert len(changed) == length
    assert pitch_hz(changed) == 440
    # Slowed down, the sudden start of the tone puts its three bins out of step: 0.8 dB.
    assert level_db(changed) == pytest.approx(level_db(tone(440)), abs=1.0)


def test_tempo_brings_a_click_forward() -> None:
    click = torch.zeros(32_000)
    click[16_000] = 0.5
    assert int(change_tempo(click, tempo=1.25).abs().argmax()) == pytest.approx(12_800, abs=256)


@pytest.mark.parametrize("num_samples", [1, 100, 700])
def test_tempo_takes_waveforms_shorter_than_its_window(num_samples: int) -> None:
    changed = change_tempo(tone(440, num_samples), tempo=0.9)
    assert len(changed) == round(num_samples / 0.9)
    assert changed.isfinite().all()


def test_length_is_cut_or_padded_with_zeros_at_the_end() -> None:
    assert fit_length(torch.tensor([1.0, 2.0, 3.0]), 2).tolist() == [1, 2]
    assert fit_length(torch.tensor([1.0, 2.0, 3.0]), 5).tolist() == [1, 2, 3, 0, 0]


@pytest.mark.parametrize(
    ("frequency_hz", "lowest_db", "highest_db"),
    # 100 Hz lies two thirds between 50 and 30 dB: 36.7; 5 kHz is over the half of 8 kHz
    [(1000, -0.5, 0.5), (100, 30, 40), (5000, 40, 120)],
)
def test_a_phone_line_keeps_its_band_alone(
    frequency_hz: int, lowest_db: float, highest_db: float
) -> None:
    loss_db = level_db(tone(frequency_hz)) - level_db(to_phone_line(tone(frequency_hz)))
    assert lowest_db < loss_db < highest_db


def test_a_phone_line_adds_the_noise_of_8_bit_mu_law() -> None:
    clean = tone(1000)
    noise = middle(to_phone_line(clean) - clean)
    snr_db = 10 * float((middle(clean).square().mean() / noise.square().mean()).log10())
    assert 30 < snr_db < 45  # 38 dB in theory


@pytest.mark.parametrize("codec", ["aac", "opus"])
def test_a_codec_keeps_length_and_time(codec: Codec) -> None:
    clean = tone(440, 16_100) * torch.linspace(0, 1, 16_100)
    coded = through_codec(clean, codec=codec, bit_rate=32_000)
    assert len(coded) == len(clean)
    assert not torch.equal(coded, clean)
    assert float((coded - clean).square().mean() / clean.square().mean()) < 0.01


# Waveforms, everything together


def test_a_waveform_with_all_probabilities_0_stays_as_it_is_bit_for_bit() -> None:
    clean = torch.rand(5000, generator=seeded()) * 2 - 1
    augmented = augment_waveform(
        clean, options=only_waveform(), mask_type="none", generator=seeded()
    )
    assert torch.equal(augmented.waveform, clean)
    assert (augmented.num_valid, augmented.mask_type) == (5000, "none")


EVERYTHING = WaveformAugmentation(
    speed_probability=1.0, tempo_probability=1.0, muffle_probability=1.0, noise_probability=1.0,
    gain_probability=1.0, gain_db=(20.0, 30.0), phone_probability=1.0, codec_probability=1.0,
    polarity_probability=1.0,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_waveform_keeps_its_length_and_stays_in_range(seed: int) -> None:
    augmented = augment_waveform(
        tone(220), options=EVERYTHING, mask_type=None, generator=seeded(seed)
    )
    assert len(augmented.waveform) == 16_000
    assert float(augmented.waveform.abs().max()) <= 1
    assert not augmented.waveform[augmented.num_valid :].any()


def test_silence_stays_finite() -> None:
    augmented = augment_waveform(
        torch.zeros(16_000), options=EVERYTHING, mask_type=None, generator=seeded()
    )
    assert augmented.waveform.isfinite().all()
    assert float(augmented.waveform.abs().max()) < 0.01  # mu-law's smallest step, 30 dB up


@pytest.mark.parametrize(("percent", "num_valid"), [(105, 15_239), (95, 16_000)])
def test_the_padding_of_a_faster_waveform_is_counted(percent: int, num_valid: int) -> None:
    options = only_waveform(
        speed_probability=1.0, speed_percent=(percent, percent), noise_probability=1.0
    )
    augmented = augment_waveform(tone(220), options=options, mask_type="none", generator=seeded())
    assert augmented.num_valid == num_valid  # 16000 / 1.05 = 15238.1; the slower one is cut
    assert not augmented.waveform[num_valid:].any()
    assert augmented.waveform[num_valid - 50 : num_valid].all()


def test_equal_seeds_give_equal_waveforms() -> None:
    first, again, other = (
        augment_waveform(
            tone(220), options=EVERYTHING, mask_type=None, generator=seeded(seed)
        ).waveform
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("mask_type", [None, "none"])
def test_a_muffled_voice_gets_the_label_of_its_mask(mask_type: str | None) -> None:
    options = only_waveform(muffle_probability=1.0)
    labels = {
        augment_waveform(
            tone(220, 2000), options=options, mask_type=mask_type, generator=seeded(seed)
        ).mask_type
        for seed in range(40)
    }
    assert labels == set(MASK_TYPES) - {"none"}


def test_a_voice_behind_a_mask_is_not_muffled_again() -> None:
    augmented = augment_waveform(
        tone(220),
        options=only_waveform(muffle_probability=1.0),
        mask_type="ffp",
        generator=seeded(),
    )
    assert torch.equal(augmented.waveform, tone(220))
    assert augmented.mask_type == "ffp"


# Crops


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
    augment_waveform(tone(220), options=EVERYTHING, mask_type=None, generator=seeded())
    augment_crop(
        textured_crop(), options=ALWAYS, landmarks=FRONTAL, mask_type=None, generator=seeded()
    )
    assert torch.equal(torch.get_rng_state(), before)
