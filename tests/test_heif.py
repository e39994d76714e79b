"""HEIC and AVIF photographs -> the whole picture, as a viewer shows it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oragen.detection.faces import CropOptions, crop_clip
from oragen.media.errors import UnusableMediaError
from oragen.media.images import read_image
from oragen.media.video import sample_pictures
from oragen.predictor.drawing import draw_clip
from tests.heif_files import write_heic
from tests.made_predictions import NOT_PREDICTED
from tests.media_files import plain, quarters, read_quarters

SHARED = Path(__file__).parents[2] / "shared"
STORED = [[40, 100], [160, 220]]
PHOTOGRAPH = quarters(STORED, width=256, height=128)
WHOLE_PICTURE = CropOptions("none", None, 0.6, 2, 0.0, 32, 60.0)


def test_tiles_are_put_together(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", PHOTOGRAPH, tile_px=64)
    rgb = read_image(path).rgb
    assert rgb.shape == (128, 256, 3)
    np.testing.assert_allclose(rgb, PHOTOGRAPH.astype(int), atol=6)
    assert read_quarters(crop_clip(path, options=WHOLE_PICTURE).values[0]) == STORED


def test_what_the_tiles_have_beyond_the_picture_is_cut_off(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", PHOTOGRAPH, tile_px=64, size_px=(250, 100))
    assert read_image(path).rgb.shape == (100, 250, 3)


@pytest.mark.parametrize(
    ("turns", "mirror", "expected"),
    [
        (1, None, [[100, 220], [40, 160]]),
        (2, None, [[220, 160], [100, 40]]),
        (3, None, [[160, 40], [220, 100]]),
        (0, 0, [[160, 220], [40, 100]]),
        (0, 1, [[100, 40], [220, 160]]),
        (1, 1, [[220, 100], [160, 40]]),
    ],
)
def test_tiles_are_turned_and_mirrored(
    tmp_path: Path, turns: int, mirror: int | None, expected: list[list[int]]
) -> None:
    path = write_heic(tmp_path / "a.heic", PHOTOGRAPH, tile_px=64, turns=turns, mirror=mirror)
    assert read_quarters(read_image(path).rgb) == expected


def test_the_preview_is_not_taken_for_the_picture(tmp_path: Path) -> None:
    preview = plain(9, width=64, height=64)
    path = write_heic(tmp_path / "a.heic", PHOTOGRAPH, tile_px=64, preview=preview)
    assert read_quarters(read_image(path).rgb) == STORED


def test_a_photograph_of_tiles_is_drawn_as_a_picture(tmp_path: Path) -> None:
    large = quarters(STORED, width=384, height=384)
    path = write_heic(tmp_path / "a.heic", large, tile_px=128)
    draw_clip(path, NOT_PREDICTED, tmp_path / "drawn.png")
    assert read_quarters(read_image(tmp_path / "drawn.png").rgb) == STORED


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_avif_photographs_stand_upright(tmp_path: Path, orientation: int, mode: str) -> None:
    """With transparency there is a second track, as with tiles."""
    shown = {
        1: STORED, 2: [[100, 40], [220, 160]], 3: [[220, 160], [100, 40]],
        4: [[160, 220], [40, 100]], 5: [[40, 160], [100, 220]], 6: [[160, 40], [220, 100]],
        7: [[220, 100], [160, 40]], 8: [[100, 220], [40, 160]],
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(PHOTOGRAPH).convert(mode)
    if mode == "RGBA":
        image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(tmp_path / "a.avif", exif=exif)
    [picture] = sample_pictures(tmp_path / "a.avif", max_duration_s=9.0)
    assert read_quarters(picture.rgb) == shown[orientation]


def test_a_damaged_photograph_has_a_reason(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", PHOTOGRAPH, tile_px=64)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 40])
    with pytest.raises(UnusableMediaError, match="truncated or damaged"):
        read_image(path)


def test_a_photograph_over_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", PHOTOGRAPH, tile_px=64)
    with pytest.raises(UnusableMediaError) as caught:
        read_image(path, max_pixels=256 * 128 - 1)
    assert caught.value.reason == "picture too large"


@pytest.mark.slow
def test_a_photograph_in_one_piece_over_every_limit_is_too_large(tmp_path: Path) -> None:
    Image.new("L", (9_000, 8_000)).save(tmp_path / "a.avif", speed=10)
    with pytest.raises(UnusableMediaError) as caught:
        read_image(tmp_path / "a.avif")
    assert caught.value.reason == "picture too large"


def test_the_limit_of_pillow_stays_as_the_user_has_it(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    read_image(write_heic(tmp_path / "a.heic", PHOTOGRAPH, tile_px=64))
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="no shared cases")
def test_the_shared_photograph_of_tiles_is_the_one_beside_it() -> None:
    cases = SHARED / "cases"
    tiles = read_image(cases / "04_tiles.heic").rgb.astype(int)
    assert np.abs(tiles - read_image(cases / "04_same_as.jpg").rgb).mean() < 2
