"""Sound and crops whose quality is known -> what is measured of them."""

import cv2
import numpy as np
import pytest

from oragen.detection.quality import (
    estimate_snr_db,
    measure_face_px,
    measure_sharpness,
    measure_speech_s,
)
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Span

SECOND = SAMPLE_RATE_HZ


def noisy(snr_db: float, length_s: int = 3) -> np.ndarray:
    """White noise, and from the first to the second second a louder one on top of it."""
    generator = np.random.default_rng(0)
    samples = generator.normal(0, 300, length_s * SECOND)
    samples[SECOND : 2 * SECOND] += generator.normal(0, 300 * 10 ** (snr_db / 20), SECOND)
    return samples.round().astype(np.int16)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 25.0])
def test_the_snr_is_that_of_the_mix(snr_db: float) -> None:
    found = estimate_snr_db(noisy(snr_db), [Span(SECOND, 2 * SECOND)])
    assert found == pytest.approx(snr_db, abs=0.3)


def test_without_pauses_the_quietest_frames_are_the_noise() -> None:
    """A tenth of the clip is 20 dB below the rest."""
    samples = noisy(-100.0, 10)
    samples[: 9 * SECOND] *= 10
    found = estimate_snr_db(samples, [Span(0, 10 * SECOND)])
    assert found == pytest.approx(10 * np.log10((0.9 * 100 + 0.1 - 1) / 1), abs=0.4)


def test_the_snr_stays_within_its_range() -> None:
    silent = np.zeros(2 * SECOND, np.int16)
    loud = silent.copy()
    loud[:SECOND] = 20_000
    assert estimate_snr_db(loud, [Span(0, SECOND)]) == 80.0
    assert estimate_snr_db(silent, [Span(0, SECOND)]) == -20.0


def test_without_speech_there_is_no_snr() -> None:
    assert estimate_snr_db(noisy(10.0), []) is None
    assert estimate_snr_db(np.zeros(0, np.int16), []) is None
    assert estimate_snr_db(noisy(10.0), [Span(0, 100)]) is None


def test_a_long_recording_is_measured_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = estimate_snr_db(noisy(10.0), [Span(SECOND, 2 * SECOND)])
    monkeypatch.setattr("oragen.detection.quality.FRAMES_AT_ONCE", 7)
    assert estimate_snr_db(noisy(10.0), [Span(SECOND, 2 * SECOND)]) == whole


def test_the_length_of_speech_is_that_of_its_spans() -> None:
    assert measure_speech_s([Span(0, 8_000), Span(16_000, 48_000)]) == 2.5
    assert measure_speech_s([]) == 0.0


def test_the_size_of_a_face_is_the_median_side() -> None:
    boxes = np.array([[0.0, 0.0, 20.0, 80.0], [10.0, 10.0, 60.0, 60.0], [0.0, 0.0, 90.0, 90.0]])
    assert measure_face_px(boxes) == 50.0


def test_the_sharpness_is_the_variance_of_the_laplacian() -> None:
    """A white pixel among 25 black ones: -4 x 255, and 255 on four sides; the mean is 0."""
    dot = np.zeros((1, 5, 5, 3), np.uint8)
    dot[0, 2, 2] = 255
    assert measure_sharpness(dot) == pytest.approx((16 + 4) * 255**2 / 25)


def test_a_blurred_crop_is_less_sharp_and_the_median_counts() -> None:
    sharp = np.random.default_rng(0).integers(0, 256, (1, 24, 20, 3), dtype=np.uint8)
    expected = measure_sharpness(sharp)
    blurred = cv2.GaussianBlur(sharp[0], (5, 5), 0)[None]
    assert measure_sharpness(blurred) < 0.2 * expected
    assert measure_sharpness(np.concatenate([blurred, blurred, sharp])) < expected
