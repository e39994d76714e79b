"""A clip with a known prediction, drawn and decoded again."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest

from oragen.media.audio import decode_audio
from oragen.media.images import read_image
from oragen.predictor import FaceBox, ModalityReport, Prediction
from oragen.predictor.drawing import BACKGROUND_PX, DrawingError, draw_clip
from oragen.predictor.overlay import (
    BOX_COLOUR,
    MIN_FONT_PX,
    SPEECH_COLOUR,
    WARNING_COLOUR,
    Overlay,
    box_at,
)
from oragen.schema.vocabulary import Span
from tests import made_predictions
from tests.made_predictions import NOT_PREDICTED, WINDOW
from tests.media_files import (
    add_exif_orientation,
    bright_left,
    plain,
    rotate_mp4,
    tone,
    write_sound,
    write_video,
)

PREDICTED = replace(made_predictions.PREDICTED, warnings=[])
Rgb = np.ndarray


class Decoded(NamedTuple):
    """All pictures of a file with their times, and the length in its header."""

    times_s: list[float]
    pictures: list[Rgb]
    length_s: float


def decode(path: Path) -> Decoded:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        length_s = float(stream.duration * stream.time_base)
    pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
    return Decoded([float(frame.time) for frame in frames], pictures, length_s)


def predicted(*boxes: FaceBox, length_s: float = 2.0) -> Prediction:
    return replace(PREDICTED, faces=list(boxes), length_s=length_s)


def box(time_s: float, x1: float, y1: float, x2: float, y2: float) -> FaceBox:
    return FaceBox(time_s, float(x1), float(y1), float(x2), float(y2), 0.9)


def colour(word: str) -> np.ndarray:
    return np.array([int(word[place : place + 2], 16) for place in (1, 3, 5)])


def has_colour(pixels: Rgb, word: str, *, tolerance: int = 40) -> bool:
    """Return whether pixels are of a colour, as far as coding left it."""
    distance = np.abs(pixels.astype(int).reshape(-1, 3) - colour(word)).max(axis=1)
    return bool((distance <= tolerance).mean() > 0.9)


def grey_video(path: Path, *, width: int = 400, height: int = 300, seconds: int = 2) -> Path:
    times_s = [k / 25 for k in range(25 * seconds)]
    pictures = [plain(120, width=width, height=height)] * len(times_s)
    return write_video(path, times_s, pictures, sound=tone(seconds))


def test_the_box_is_drawn_where_the_face_is_and_moves_with_it(tmp_path: Path) -> None:
    clip = grey_video(tmp_path / "clip.mp4")
    prediction = predicted(box(0.0, 100, 80, 200, 180), box(1.0, 200, 80, 300, 180))
    draw_clip(clip, prediction, tmp_path / "drawn.mp4")
    drawn = decode(tmp_path / "drawn.mp4")
    for time_s, left in ((0.0, 100), (0.4, 140), (1.0, 200), (1.8, 200)):
        picture = drawn.pictures[round(time_s * 25)]
        assert has_colour(picture[120:170, left], BOX_COLOUR), time_s
        assert has_colour(picture[120:170, left + 100], BOX_COLOUR), time_s
        assert has_colour(picture[180, left + 20 : left + 80], BOX_COLOUR), time_s
        inside = picture[120:170, left + 20 : left + 80]
        assert np.abs(inside.astype(int) - 120).max() < 12, time_s


def test_pictures_times_and_sound_stay_as_they_were(tmp_path: Path) -> None:
    clip = grey_video(tmp_path / "clip.mp4")
    draw_clip(clip, predicted(), tmp_path / "drawn.mp4")
    before, after = decode(clip), decode(tmp_path / "drawn.mp4")
    assert after.times_s == pytest.approx(before.times_s, abs=1e-4)
    assert after.length_s == pytest.approx(before.length_s, abs=0.001)
    assert before.length_s == 2.0
    sounds = [decode_audio(path, max_duration_s=9.0) for path in (clip, tmp_path / "drawn.mp4")]
    short = min(map(len, sounds))
    assert short == pytest.approx(32_000, abs=2_048)
    levels = [np.abs(np.fft.rfft(sound[2_000:30_000].astype(float))) for sound in sounds]
    assert levels[0].argmax() == levels[1].argmax() == 440 * 28_000 // 16_000
    assert levels[1].max() == pytest.approx(levels[0].max(), rel=0.1)


def test_uneven_times_are_kept_and_so_is_the_length_of_the_last_picture(tmp_path: Path) -> None:
    times_s = [0.0, 0.04, 0.5, 0.52, 1.6, 3.0]
    write_video(tmp_path / "clip.mp4", times_s, [plain(90, width=360)] * 6)
    draw_clip(tmp_path / "clip.mp4", predicted(), tmp_path / "drawn.mp4")
    before, after = decode(tmp_path / "clip.mp4"), decode(tmp_path / "drawn.mp4")
    assert after.times_s == pytest.approx(times_s, abs=1e-4)
    assert after.length_s == pytest.approx(before.length_s, abs=0.001)


def test_a_late_start_of_the_sound_stays_late(tmp_path: Path) -> None:
    pictures = [plain(90, width=360)] * 50
    write_video(tmp_path / "clip.mp4", [k / 25 for k in range(50)], pictures,
                sound=tone(1.0), sound_start_s=0.8)  # fmt: skip
    draw_clip(tmp_path / "clip.mp4", predicted(), tmp_path / "drawn.mp4")
    sound = np.abs(decode_audio(tmp_path / "drawn.mp4", max_duration_s=9.0).astype(int))
    loud = np.flatnonzero(sound > 3_000)
    assert loud[0] / 16_000 == pytest.approx(0.8, abs=0.1)
    assert loud[-1] / 16_000 == pytest.approx(1.8, abs=0.1)


@pytest.mark.parametrize(("width", "height"), [(401, 301), (363, 241), (65, 49)])
def test_odd_and_small_sizes_can_be_drawn(tmp_path: Path, width: int, height: int) -> None:
    write_video(tmp_path / "clip.avi", [0.0, 0.04], [plain(90, width=width, height=height)] * 2,
                codec="ffv1", time_base=Fraction(1, 25))  # fmt: skip
    edges = (0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height)
    draw_clip(tmp_path / "clip.avi", predicted(box(0.0, *edges)), tmp_path / "drawn.mp4")
    [picture, _] = decode(tmp_path / "drawn.mp4").pictures
    factor = 6 if width == 65 else 1  # 6 x 65 = 390 is the first multiple from 360 on
    assert picture.shape[1] == width * factor + width * factor % 2
    assert picture.shape[0] % 2 == 0
    assert picture.shape[0] > height * factor
    rows = slice(height * factor // 2, round(0.7 * height * factor))
    assert has_colour(picture[rows, round(edges[0] * factor)], BOX_COLOUR, tolerance=60)


def test_pictures_are_drawn_upright(tmp_path: Path) -> None:
    picture = bright_left(width=480, height=400)  # turned clockwise its upper half is white
    clip = write_video(tmp_path / "clip.mp4", [0.0, 0.04], [picture] * 2)
    draw_clip(rotate_mp4(clip), predicted(box(0.0, 100, 300, 200, 400)), tmp_path / "drawn.mp4")
    drawn = decode(tmp_path / "drawn.mp4").pictures[0]
    assert drawn.shape[1] == 400
    assert drawn[60:230, 210:].min() > 240
    assert drawn[245:270, 210:].max() < 15
    assert has_colour(drawn[320:390, 100], BOX_COLOUR)


def test_a_clip_in_4k_is_drawn_at_full_size(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", [0.0], [plain(90, width=3840, height=2160)])
    draw_clip(
        tmp_path / "clip.mp4", predicted(box(0.0, 1000, 800, 2000, 1800)), tmp_path / "drawn.mp4"
    )
    [drawn] = decode(tmp_path / "drawn.mp4").pictures
    assert drawn.shape[1] == 3840
    assert has_colour(drawn[1000:1700, 1000:1004], BOX_COLOUR)


def test_the_timeline_shows_speech_where_it_is_and_a_cursor_that_moves(tmp_path: Path) -> None:
    prediction = replace(PREDICTED, speech=[Span(16_000, 32_000)], faces=[], length_s=4.0)
    overlay = Overlay(prediction, 640, 360, length_s=4.0)
    strips = [
        overlay.paint(plain(0, width=640, height=360), time_s)[360:] for time_s in (0.0, 2.0, 3.99)
    ]
    speech_row = strips[0][10]
    green = np.flatnonzero(np.abs(speech_row.astype(int) - colour(SPEECH_COLOUR)).max(axis=1) < 5)
    cursors = [int(np.flatnonzero((strip[4] == 255).all(axis=1))[0]) for strip in strips]
    start, middle, stop = cursors
    assert middle == pytest.approx((start + stop) / 2, abs=2)
    assert green[0] == pytest.approx(start + (stop - start) / 4, abs=2)
    assert green[-1] == pytest.approx(middle, abs=2)


def test_sound_alone_is_given_a_background(tmp_path: Path) -> None:
    clip = write_sound(tmp_path / "clip.wav", tone(1.5, rate_hz=44_100, channels=2),
                       rate_hz=44_100, layout="stereo")  # fmt: skip
    draw_clip(clip, replace(PREDICTED, length_s=1.5), tmp_path / "drawn.mp4")
    drawn = decode(tmp_path / "drawn.mp4")
    assert {picture.shape[1::-1] for picture in drawn.pictures} == {BACKGROUND_PX}
    assert drawn.length_s == pytest.approx(1.5, abs=0.01)
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        [stream] = container.streams.audio
        assert (stream.codec_context.name, stream.rate, stream.layout.nb_channels) == (
            "aac",
            44_100,
            2,
        )


def test_sound_of_many_channels_at_any_rate_is_kept(tmp_path: Path) -> None:
    clip = write_sound(tmp_path / "clip.wav", tone(1.0, rate_hz=96_000, channels=6),
                       rate_hz=96_000, layout="5.1")  # fmt: skip
    draw_clip(clip, replace(PREDICTED, length_s=1.0), tmp_path / "drawn.mp4")
    sound = decode_audio(tmp_path / "drawn.mp4", max_duration_s=9.0).astype(float)
    spectrum = np.abs(np.fft.rfft(sound[:16_000]))
    assert spectrum.argmax() == 440
    assert np.abs(sound[2_000:14_000]).max() == pytest.approx(16_384, rel=0.1)


@pytest.mark.parametrize("suffix", [".png", ".mp4"])
def test_an_image_is_drawn_upright_as_a_picture_or_as_a_second_of_video(
    tmp_path: Path, suffix: str
) -> None:
    _, jpeg = cv2.imencode(".jpg", plain(120, width=400, height=500))
    clip = tmp_path / "clip.jpg"
    clip.write_bytes(add_exif_orientation(jpeg.tobytes(), 6))  # a quarter turn
    target = tmp_path / f"drawn{suffix}"
    draw_clip(clip, predicted(box(0.0, 100, 100, 300, 300), length_s=1.0), target)
    if suffix == ".png":
        drawn = read_image(target).rgb
    else:
        decoded = decode(target)
        assert decoded.length_s == pytest.approx(1.0)
        drawn = decoded.pictures[0]
    assert drawn.shape == (400, 500, 3)
    assert has_colour(drawn[150:290, 100], BOX_COLOUR)


def test_a_file_that_breaks_off_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    clip = grey_video(tmp_path / "clip.mkv")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    draw_clip(clip, predicted(), tmp_path / "drawn.mp4")
    assert 0 < len(decode(tmp_path / "drawn.mp4").pictures) < 50


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty file": (lambda path: path.touch(), "drawn.mp4"),
    "not a media file": (lambda path: path.write_text("words " * 100), "drawn.mp4"),
    "no such file": (lambda path: None, "drawn.mp4"),
    "is not a single picture": (grey_video, "drawn.png"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(tmp_path: Path, words: str) -> None:
    make, target = REFUSED[words]
    make(tmp_path / "clip.mp4")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DrawingError, match=words):
        draw_clip(tmp_path / "clip.mp4", NOT_PREDICTED, tmp_path / target)
    assert sorted(tmp_path.iterdir()) == before


def test_a_clip_without_a_prediction_is_drawn_with_the_reason(tmp_path: Path) -> None:
    clip = grey_video(tmp_path / "clip.mp4", seconds=1)
    draw_clip(clip, replace(NOT_PREDICTED, length_s=1.0), tmp_path / "drawn.mp4")
    corner = decode(tmp_path / "drawn.mp4").pictures[0][8:20, 10:100]
    assert corner.min() < 60  # the label
    assert corner.max() > 200  # the words on it


def test_a_box_is_interpolated_within_a_second_and_ends_after_one() -> None:
    boxes = [box(0.0, 0, 0, 10, 10), box(1.0, 10, 20, 20, 30), box(4.0, 0, 0, 8, 8)]
    halfway = box_at(boxes, 0.5)
    assert halfway is not None
    assert (halfway.x1, halfway.y1, halfway.x2, halfway.y2) == (5, 10, 15, 20)
    assert box_at(boxes, 1.9) == boxes[1]
    assert box_at(boxes, 2.1) is None  # the face was not found until 4 s
    assert box_at(boxes, 4.9) == boxes[2]
    assert box_at(boxes, 5.0) is None
    assert box_at(boxes[2:], 1.0) is None


def test_a_long_prediction_takes_several_lines(tmp_path: Path) -> None:
    wide, narrow = (Overlay(PREDICTED, width, 400, length_s=None) for width in (800, 240))
    assert wide.factor == 1
    assert narrow.factor == 2
    windows = [replace(WINDOW, span=Span(k * 32_000, k * 32_000 + 64_000)) for k in range(1_800)]
    hour = replace(PREDICTED, windows=windows, length_s=3_602.0)
    drawn = Overlay(hour, 640, 360, length_s=3_602.0).paint(
        plain(0, width=640, height=360), 1_800.0
    )
    assert drawn.shape[1] == 640


def test_warnings_stand_below_the_picture_and_the_timeline() -> None:
    warned = replace(PREDICTED, warnings=["It knows nobody. " * 5, "It is a guess."])
    picture = plain(0, width=400, height=300)
    for length_s in (None, 4.0):
        bare, drawn = (
            Overlay(prediction, 400, 300, length_s=length_s) for prediction in (PREDICTED, warned)
        )
        added = drawn.paint(picture, 0.0)[bare.height_px :]
        assert len(added) >= 3 * MIN_FONT_PX  # the first takes two lines or more
        assert has_colour(added[added.max(axis=2) > 200].max(axis=0), WARNING_COLOUR, tolerance=40)
        assert np.array_equal(
            drawn.paint(picture, 0.0)[: bare.height_px - 1], bare.paint(picture, 0.0)[:-1]
        )
    assert Overlay(
        replace(NOT_PREDICTED, warnings=warned.warnings), 400, 300, length_s=None
    ).height_px == 300  # fmt: skip


def test_where_h264_is_missing_mpeg_4_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = grey_video(tmp_path / "clip.mp4")
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    draw_clip(clip, predicted(box(0.0, 100, 80, 200, 180)), tmp_path / "drawn.mp4")
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    drawn = decode(tmp_path / "drawn.mp4")
    assert drawn.times_s == pytest.approx(decode(clip).times_s, abs=1e-4)
    assert has_colour(drawn.pictures[0][120:170, 100], BOX_COLOUR, tolerance=60)


def test_pictures_beyond_the_limits_are_not_drawn(tmp_path: Path) -> None:
    clip, target = grey_video(tmp_path / "clip.mp4"), tmp_path / "drawn.mp4"
    report = ModalityReport(usable=False, reason="decoding needs more than 60 s of work")
    prediction = replace(PREDICTED, modalities=PREDICTED.modalities | {"face": report})
    with pytest.raises(DrawingError, match=r"needs more than 60 s of work\."):
        draw_clip(clip, prediction, target)
    assert not target.exists()
