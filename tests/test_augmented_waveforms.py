"""Waveforms -> as another recording might sound: what changes, by how much, and what stays."""

import dataclasses

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from oragen.finetuning.augmentation import (
    WaveformAugmentation,
    augment_waveform,
)
from oragen.finetuning.augmentation.bands import muffle
from oragen.finetuning.augmentation.channel import Codec, through_codec, to_phone_line
from oragen.finetuning.augmentation.draws import choose, happens, uniform
from oragen.finetuning.augmentation.waveforms import (
    add_white_noise,
    change_gain,
    change_speed,
    change_tempo,
    fit_length,
    invert,
)
from oragen.schema.attenuation import ATTENUATION_DB
from oragen.schema.vocabulary import MASK_TYPES, SAMPLE_RATE_HZ


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


def test_global_randomness_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    augment_waveform(tone(220), options=EVERYTHING, mask_type=None, generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)
