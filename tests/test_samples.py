"""The one scale of int16 samples."""

import numpy as np
import pytest

from oragen.media.samples import to_floats, to_int16


def test_every_int16_sample_comes_back_from_both_kinds_of_float() -> None:
    samples = np.arange(-(2**15), 2**15, dtype=np.int16)
    np.testing.assert_array_equal(to_int16(to_floats(samples)), samples)
    np.testing.assert_array_equal(to_int16(to_floats(samples, np.float64)), samples)


def test_full_scale_is_minus_one_and_almost_one() -> None:
    floats = to_floats(np.array([-(2**15), 0, 2**15 - 1], np.int16))
    assert floats.dtype == np.float32
    assert floats.tolist() == [-1.0, 0.0, 32767 / 32768]


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, 32767), (7.0, 32767), (-1.5, -32768), (0.6 / 2**15, 1)]
)
def test_what_is_too_loud_is_clipped_and_the_rest_rounded(value: float, expected: int) -> None:
    assert to_int16(np.array([value])).tolist() == [expected]
