"""A video or an image -> pictures at a steady rate, upright and in step with the sound."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from oragen.media.errors import UnusableMediaError
from oragen.media.images import Picture, read_image
from oragen.media.video import sample_pictures
from tests.media_files import (
    Rgb,
    add_exif_orientation,
    add_sound,
    bright_left,
    plain,
    rotate_mp4,
    tone,
    write_fade,
    write_sound,
    write_video,
)

LIMIT_S = 60.0


def pictures_of(path: Path, *, pictures_per_second: float = 1.0) -> list[Picture]:
    return list(
        sample_pictures(path, max_duration_s=LIMIT_S, pictures_per_second=pictures_per_second)
    )


def refusal(path: Path, *, max_pixels: int = 10_000, max_duration_s: float = LIMIT_S) -> str:
    with pytest.raises(UnusableMediaError) as caught:
        list(sample_pictures(path, max_duration_s=max_duration_s, max_pixels=max_pixels))
    return caught.value.reason


def levels(pictures: list[Picture]) -> list[int]:
    return [round(float(picture.rgb.mean())) for picture in pictures]


def seconds(pictures: list[Picture]) -> list[float]:
    return [picture.sample / 16_000 for picture in pictures]


def bright_side(rgb: Rgb) -> str:
    height, width = rgb.shape[:2]
    sides = {
        "left": rgb[:, : width // 2],
        "right": rgb[:, width // 2 :],
        "top": rgb[: height // 2],
        "bottom": rgb[height // 2 :],
    }
    return max(sides, key=lambda side: float(sides[side].mean()))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx")],
)
def test_each_second_has_the_picture_of_its_start(tmp_path: Path, name: str, codec: str) -> None:
    path = write_fade(tmp_path / name, 3.2, codec=codec)
    pictures = pictures_of(path)
    assert [picture.sample for picture in pictures] == [0, 16_000, 32_000, 48_000]
    assert levels(pictures) == pytest.approx([20, 70, 120, 170], abs=2)  # 20 + 2 * 25 k
    assert pictures[0].rgb.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("length_s", "count"), [(0.04, 1), (0.3, 1), (1.0, 1), (1.04, 2), (3.0, 3)]
)
def test_a_clip_has_as_many_pictures_as_begun_seconds(
    tmp_path: Path, length_s: float, count: int
) -> None:
    assert len(pictures_of(write_fade(tmp_path / "a.mp4", length_s))) == count


def test_the_rate_may_be_another(tmp_path: Path) -> None:
    path = write_fade(tmp_path / "a.mp4", 2.0)
    assert seconds(pictures_of(path, pictures_per_second=2.0)) == [0, 0.5, 1, 1.5]
    assert seconds(pictures_of(path, pictures_per_second=0.5)) == [0]
    assert len(pictures_of(path, pictures_per_second=25.0)) == 50


def test_at_a_varying_rate_the_picture_shown_stays_until_the_next(tmp_path: Path) -> None:
    shades = [plain(level) for level in (50, 70, 90, 110, 130)]
    path = write_video(tmp_path / "a.mp4", [0, 0.3, 1.1, 3.5, 3.9], shades)
    pictures = pictures_of(path)
    assert seconds(pictures) == [0, 1, 2, 3]
    assert levels(pictures) == pytest.approx([50, 90, 90, 110], abs=2)


def test_time_zero_is_the_start_of_the_file_not_of_the_clock(tmp_path: Path) -> None:
    path = write_fade(tmp_path / "a.mkv", 2.0, start_s=5.0, sound=tone(2.0), sound_start_s=5.0)
    pictures = pictures_of(path)
    assert seconds(pictures) == [0, 1]
    assert levels(pictures) == pytest.approx([20, 70], abs=2)


def test_seconds_before_the_first_picture_have_none(tmp_path: Path) -> None:
    path = write_fade(tmp_path / "a.mp4", 2.0, start_s=2.5, sound=tone(4.5))
    pictures = pictures_of(path)
    assert seconds(pictures) == [2, 3, 4]
    assert levels(pictures) == pytest.approx([20, 46, 96], abs=2)  # frames 0, 13 and 38


def test_a_picture_that_comes_days_late_is_neither_waited_for_nor_repeated(tmp_path: Path) -> None:
    days_s = 5 * 86_400.0
    path = write_video(tmp_path / "a.mkv", [0.0, days_s], [plain(9), plain(9)])
    assert refusal(path) == "longer than 60 s"


def test_a_phone_held_upright_gives_upright_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0.0, 0.5], [bright_left(), bright_left()])
    assert bright_side(pictures_of(path)[0].rgb) == "left"
    turned = pictures_of(rotate_mp4(path))[0].rgb  # clockwise: left becomes top
    assert turned.shape == (64, 48, 3)
    assert bright_side(turned) == "top"


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0.0], [plain(9)], pixel_aspect=Fraction(4, 3))
    assert pictures_of(path)[0].rgb.shape == (48, 85, 3)  # 64 * 4 / 3


def test_colours_keep_their_order(tmp_path: Path) -> None:
    red = plain(0)
    red[..., 0] = 200
    video = pictures_of(write_video(tmp_path / "a.mp4", [0.0], [red]))[0].rgb
    cv2.imwrite(str(tmp_path / "a.png"), red[..., ::-1])
    image = read_image(tmp_path / "a.png").rgb
    assert video.mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=4)
    assert image.mean(axis=(0, 1)).tolist() == [200, 0, 0]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tiff", "%02d.jpg"])
def test_an_image_is_a_clip_of_one_picture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(cv2.imencode(path.suffix, plain(77))[1].tobytes())
    [picture] = pictures_of(path)
    assert picture.sample == 0
    np.testing.assert_array_equal(picture.rgb, plain(77))


@pytest.mark.parametrize(
    ("orientation", "side"),
    list(enumerate(["left", "right", "right", "left", "top", "top", "bottom", "bottom"], start=1)),
)
def test_photographs_stand_upright_as_exif_says(
    tmp_path: Path, orientation: int, side: str
) -> None:
    jpeg = cv2.imencode(".jpg", bright_left())[1].tobytes()
    path = tmp_path / "a.jpg"
    path.write_bytes(add_exif_orientation(jpeg, orientation))
    assert bright_side(read_image(path).rgb) == side


def test_grey_transparent_and_deep_images_become_8_bit_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((48, 64), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "transparent.png"), np.full((48, 64, 4), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((48, 64, 3), 77 * 257, np.uint16))
    for name in ("grey.png", "transparent.png", "deep.png"):
        np.testing.assert_array_equal(read_image(tmp_path / name).rgb, plain(77))


def test_sound_alone_has_no_video_track(tmp_path: Path) -> None:
    assert refusal(write_sound(tmp_path / "a.wav", tone(0.1))) == "no video track"


def test_the_cover_of_a_record_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = Disposition.attached_pic
        add_sound(container, tone(1.0))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(plain(9), format="rgb24")))
        container.mux(cover.encode(None))
    assert refusal(path) == "no video track"


def test_a_video_is_no_image(tmp_path: Path) -> None:
    path = write_fade(tmp_path / "a.mp4", 0.2)
    with pytest.raises(UnusableMediaError, match="not a picture"):
        read_image(path)


def test_pictures_over_the_limit_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), plain(9, width=101, height=100))
    assert refusal(tmp_path / "a.png") == "picture too large"
    path = write_video(tmp_path / "a.mp4", [0.0], [plain(9, width=102, height=100)])
    assert refusal(path) == "picture too large"
    assert refusal(path, max_pixels=10_199) == "picture too large"
    assert len(list(sample_pictures(path, max_duration_s=LIMIT_S, max_pixels=10_200))) == 1


def test_a_video_over_the_time_limit_is_refused(tmp_path: Path) -> None:
    path = write_fade(tmp_path / "a.mp4", 3.0)
    assert refusal(path, max_duration_s=2.0) == "longer than 2 s"


def test_damaged_pictures_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:60])
    assert refusal(path) == "truncated or damaged"
    path.write_bytes(path.read_bytes()[:12])
    assert refusal(path) == "truncated or damaged"


def test_an_mp4_cut_in_the_middle_gives_what_is_there_and_a_note(tmp_path: Path) -> None:
    path = write_fade(tmp_path / "a.mp4", 8.0, options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
    notes: list[str] = []
    pictures = list(sample_pictures(path, max_duration_s=LIMIT_S, notes=notes))
    assert 1 <= len(pictures) < 8
    assert notes[-1].endswith("of 8.00 s")


def test_what_is_no_file_at_all_is_refused_at_the_first_picture(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert refusal(tmp_path / "empty.mp4") == "empty file"
    assert refusal(tmp_path / "missing.mp4") == "no such file"
