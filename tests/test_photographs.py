"""Photographs as cameras and programs write them, whole or broken off -> upright RGB, and notes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from oragen.detection.faces import CropOptions, crop_clip
from oragen.media.audio import decode_clip
from oragen.media.errors import UnusableMediaError
from oragen.media.images import read_image
from tests.media_files import (
    add_exif_orientation,
    bright_left,
    plain,
    tone,
    write_sound,
    write_video,
)

LIMIT_S = 60.0
WHOLE_PICTURE = CropOptions("none", None, 0.6, 2, 0.0, 32, LIMIT_S)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def mottled(*, width: int = 320, height: int = 240) -> np.ndarray:
    """A picture of soft spots: no row of it is of one colour."""
    spots = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    return cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC)


def to_jpeg(bgr: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", bgr, options)[1].tobytes()


def read_noting(path: Path) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    return read_image(path, notes=notes).rgb, notes


def test_a_whole_jpeg_gives_no_note(tmp_path: Path) -> None:
    rgb, notes = read_noting(write(tmp_path / "a.jpg", to_jpeg(mottled())))
    assert np.abs(rgb[..., ::-1].astype(int) - mottled()).mean() < 4
    assert notes == []


def test_a_jpeg_that_breaks_off_gives_the_rows_that_are_there_and_a_note(tmp_path: Path) -> None:
    content = to_jpeg(mottled())
    whole, _ = read_noting(write(tmp_path / "whole.jpg", content))
    rgb, notes = read_noting(write(tmp_path / "cut.jpg", content[: len(content) // 2]))
    assert 80 < len(rgb) < 160
    decoded = len(rgb) // 16 * 16 - 17  # the last blocks, and what their colours are smoothed into
    np.testing.assert_array_equal(rgb[:decoded], whole[:decoded])
    assert notes == [f"truncated or damaged: {len(rgb)} of 240 rows of the picture are there"]


def test_a_jpeg_in_passes_that_breaks_off_is_whole_but_blurred(tmp_path: Path) -> None:
    content = to_jpeg(mottled(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    whole, _ = read_noting(write(tmp_path / "whole.jpg", content))
    rgb, notes = read_noting(write(tmp_path / "cut.jpg", content[: len(content) * 3 // 4]))
    assert rgb.shape == whole.shape
    assert 0 < np.abs(rgb.astype(int) - whole).mean() < 10
    assert notes == ["truncated or damaged: 240 of 240 rows of the picture are there"]


@pytest.mark.parametrize("length", [3, 100])
def test_a_jpeg_that_breaks_off_before_the_first_row_is_refused(
    tmp_path: Path, length: int
) -> None:
    content = to_jpeg(mottled())
    assert content.index(b"\xff\xda") > 100  # where the rows start
    with pytest.raises(UnusableMediaError) as caught:
        read_image(write(tmp_path / "a.jpg", content[:length]))
    assert caught.value.reason == "truncated or damaged"


def test_a_jpeg_that_lacks_only_its_end_mark_loses_nothing(tmp_path: Path) -> None:
    content = to_jpeg(mottled())
    whole, _ = read_noting(write(tmp_path / "whole.jpg", content))
    rgb, notes = read_noting(write(tmp_path / "cut.jpg", content[:-2]))
    np.testing.assert_array_equal(rgb, whole)
    assert notes == ["truncated or damaged: 240 of 240 rows of the picture are there"]


def test_a_face_in_the_lost_part_of_a_photograph_is_outside_of_it(tmp_path: Path) -> None:
    content = to_jpeg(mottled())
    path = write(tmp_path / "a.jpg", content[: len(content) // 2])
    above = crop_clip(path, options=WHOLE_PICTURE, face_box=(100.0, 10.0, 160.0, 70.0))
    below = crop_clip(path, options=WHOLE_PICTURE, face_box=(100.0, 170.0, 160.0, 230.0))
    assert above.reason is None
    assert above.details["notes"][0].startswith("truncated or damaged")
    assert below.reason == "face box outside the picture"


def test_a_photograph_without_colour_is_grey_rgb(tmp_path: Path) -> None:
    grey = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    rgb, notes = read_noting(write(tmp_path / "a.jpg", to_jpeg(grey)))
    assert rgb.shape == (48, 64, 3)
    np.testing.assert_allclose(rgb.astype(int), np.stack([grey] * 3, axis=-1), atol=4)
    assert notes == []


def test_a_photograph_in_printing_colours_becomes_rgb(tmp_path: Path) -> None:
    colours = Image.fromarray(mottled()).convert("CMYK")
    colours.save(tmp_path / "a.jpg", quality=95)
    rgb, _ = read_noting(tmp_path / "a.jpg")
    assert np.abs(rgb.astype(int) - mottled()).mean() < 3


def test_a_photograph_held_upright_is_cropped_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", add_exif_orientation(to_jpeg(bright_left()), 6))  # left = top
    made = crop_clip(path, options=WHOLE_PICTURE, face_box=(0.0, 0.0, 48.0, 64.0))
    [crop] = made.values
    assert crop[:12].mean() > 240
    assert crop[20:].mean() < 15


def test_what_a_file_has_not_is_a_reason_and_no_note(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.wav", tone(0.5))
    assert crop_clip(sound, options=WHOLE_PICTURE).details["notes"] == []
    video = write_video(tmp_path / "a.mp4", [0.0], [plain(9)])
    assert decode_clip(video, max_duration_s=LIMIT_S).details["notes"] == []
