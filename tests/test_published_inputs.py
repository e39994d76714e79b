"""Waveforms and images are prepared as the published code prepares them."""

import re
from typing import Any

import numpy as np
import pytest

from oragen.models.published import waveform_order
from oragen.models.unimodal import prepare_images, prepare_waveforms
from tests.golden import compare_statistics, read_arrays, read_json


@pytest.mark.parametrize("source", ["orig", "chimera"])
def test_waveforms_are_prepared_as_published(source: str) -> None:
    order = waveform_order(source)
    for case in read_json("preprocess")[source]["wav"]:
        scale, offset = re.findall(r"\*(.+)\+(.+)", case["recipe"])[0]
        noise = np.random.default_rng(801).standard_normal(case["n"]).astype(np.float32)
        waveform = noise * np.float32(scale) + np.float32(offset)
        samples = prepare_waveforms([waveform], min_samples=64_000, order=order).samples[0].numpy()
        assert list(samples.shape) == case["output"]["shape"]
        end = case["n"]
        found = {
            "head": samples[:8],
            "at_end_of_signal": samples[end - 4 : end],
            "after_signal": samples[end : end + 4],
            "tail": samples[-4:],
        }
        for place, values in found.items():
            np.testing.assert_allclose(values, case[place], atol=1e-5, rtol=1e-5)
        compare_statistics(samples, case["output"], atol=1e-5)


@pytest.mark.parametrize("source", ["orig", "chimera"])
def test_images_are_prepared_as_published(source: str) -> None:
    arrays = read_arrays("preprocess")
    for case in read_json("preprocess")[source]["image"]:
        width, height = case["width"], case["height"]
        prepared = prepare_images([make_image(case["kind"], width, height)])[0].numpy()
        compare_statistics(prepared, case["output"], atol=1e-5)
        key = f"{case['kind']}_{width}x{height}[:, ::14, ::14]"
        np.testing.assert_allclose(prepared[:, ::14, ::14], arrays[f"image/{key}"], atol=1e-5)
        np.testing.assert_allclose(prepared[:, ::14, ::14], arrays[f"image_pil/{key}"], atol=0.008)


def make_image(kind: str, width: int, height: int) -> Any:
    if kind == "noise":
        generator = np.random.default_rng(901)
        return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    channels = [
        255 * x / (width - 1),
        255 * y / (height - 1),
        127.5 * (1 + np.sin(x / 11) * np.cos(y / 7)),
    ]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)
