"""Videos in high dynamic range or other colours -> what an ordinary screen shows."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from oragen.media.video import sample_pictures

PQ, HLG, BT_709 = 16, 18, 1
BT_2020 = 9
Code = Callable[[np.ndarray], np.ndarray]
WHITE = 203.0  # cd/m2
CHART = np.array(  # skin, lips, a medical mask, hair, white
    [[203, 160, 135], [160, 70, 70], [120, 180, 200], [40, 30, 25], [235, 235, 235]], np.float64
)


def to_bt_2020(rgb: np.ndarray) -> np.ndarray:
    """Values of an ordinary screen -> light in the primaries of BT.2020, 1 = white."""
    matrix = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    return np.asarray((rgb / 255) ** 2.4 @ np.array(matrix).T)


def to_pq(light: np.ndarray) -> np.ndarray:
    power = (light * WHITE / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def to_hlg(light: np.ndarray) -> np.ndarray:
    shown = light * WHITE / 1_000
    luminance = shown @ [0.2627, 0.6780, 0.0593]
    scene = shown * luminance[:, None] ** (1 / 1.2 - 1)
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def write_chart(path: Path, values: np.ndarray, transfer: int) -> Path:
    """Write stripes of RGB values, 0..1, with the flags of BT.2020, in 10 bits."""
    stripes = np.repeat(np.repeat(values[None], 48, axis=0), 16, axis=1)  # height, width, 3
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = stripes.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        stream.codec_context.colorspace = BT_2020
        stream.codec_context.color_primaries = BT_2020
        stream.codec_context.color_trc = transfer
        stream.codec_context.color_range = 1
        rgb = av.VideoFrame.from_ndarray(np.rint(stripes * 65_535).astype(np.uint16), "rgb48le")
        frame = rgb.reformat(format="yuv444p10le", dst_colorspace=BT_2020, dst_color_range=1)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def read_chart(path: Path) -> np.ndarray:
    [picture] = sample_pictures(path, max_duration_s=9.0)
    return np.asarray(picture.rgb[24, 8::16], np.float64)


@pytest.mark.parametrize(("transfer", "code"), [(PQ, to_pq), (HLG, to_hlg)], ids=["PQ", "HLG"])
def test_what_is_no_brighter_than_white_looks_as_in_an_ordinary_video(
    tmp_path: Path, transfer: int, code: Code
) -> None:
    path = write_chart(tmp_path / "a.mkv", code(to_bt_2020(CHART)), transfer)
    np.testing.assert_allclose(read_chart(path), CHART, atol=4)


def test_wide_gamut_without_high_range_keeps_its_saturation(tmp_path: Path) -> None:
    path = write_chart(tmp_path / "a.mkv", to_bt_2020(CHART) ** (1 / 2.4), BT_709)
    np.testing.assert_allclose(read_chart(path), CHART, atol=4)


@pytest.mark.parametrize(("transfer", "code"), [(PQ, to_pq), (HLG, to_hlg)], ids=["PQ", "HLG"])
def test_highlights_come_into_range_and_the_face_stays(
    tmp_path: Path, transfer: int, code: Code
) -> None:
    lights = np.array([[0.05] * 3, [0.2] * 3, [0.4] * 3, [2.0] * 3, [4.9] * 3])
    shown = read_chart(write_chart(tmp_path / "a.mkv", code(lights), transfer))[:, 0]
    np.testing.assert_allclose(shown[:3], 255 * lights[:3, 0] ** (1 / 2.4), atol=4)
    assert shown[2] < shown[3] < shown[4]
    assert shown[4] == pytest.approx(254, abs=2)


@pytest.mark.parametrize(("space", "name"), [(1, "BT.709"), (5, "BT.601")])
@pytest.mark.parametrize("colour_range", [1, 2])
@pytest.mark.parametrize("pixels", ["yuv444p", "yuv444p10le"])
def test_the_matrix_and_the_range_of_a_file_are_kept(
    tmp_path: Path, space: int, name: str, colour_range: int, pixels: str
) -> None:
    path = tmp_path / f"{name}.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        stream.codec_context.colorspace, stream.codec_context.color_range = space, colour_range
        red = np.full((48, 64, 3), (200, 60, 40), np.uint8)
        frame = av.VideoFrame.from_ndarray(red, "rgb24").reformat(
            format=pixels, dst_colorspace=space, dst_color_range=colour_range
        )
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    [picture] = sample_pictures(path, max_duration_s=9.0)
    np.testing.assert_allclose(picture.rgb[24, 32], [200, 60, 40], atol=4)
