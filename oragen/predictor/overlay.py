"""A picture and its time -> the picture with box, prediction, timeline and warnings."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import matplotlib as mpl
import numpy as np
from jaxtyping import UInt8
from matplotlib import colors
from PIL import Image, ImageDraw, ImageFont

from oragen.predictor.clip_inputs import FaceBox
from oragen.predictor.output import describe
from oragen.predictor.prediction import Prediction
from oragen.reporting.figures.canvas import GREEN, INK, ORANGE, SKY
from oragen.schema.names import printable
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

BACKGROUND_COLOUR: Final = "#3a4048"
MIN_WIDTH_PX: Final = 360  # narrower pictures are enlarged, or the text would not fit
MIN_FONT_PX: Final = 13
ROWS: Final = ("speech", "face", "windows")
ROW_SIZE: Final = 1.4  # of the font; below the rows is one with the time
LETTER_COLOUR: Final = "#f0f0f0"
WARNING_COLOUR: Final = ORANGE
BOX_COLOUR, SPEECH_COLOUR, WINDOW_COLOUR = ORANGE, GREEN, SKY

Rgb = UInt8[np.ndarray, "_ _ 3"]
Colour = tuple[int, int, int]


def box_at(boxes: Sequence[FaceBox], time_s: float) -> FaceBox | None:
    """Return the box of the face at a time, between one box and the next a second later.

    The last box of a stretch holds for its second. Without a face there is no box.
    """
    place = bisect_right(boxes, time_s, key=lambda box: box.time_s)
    if place == 0:
        return None
    a = boxes[place - 1]
    if place < len(boxes) and (b := boxes[place]).time_s - a.time_s <= 1:
        share = (time_s - a.time_s) / (b.time_s - a.time_s)
        edges = zip((a.x1, a.y1, a.x2, a.y2), (b.x1, b.y1, b.x2, b.y2), strict=True)
        x1, y1, x2, y2 = ((1 - share) * p + share * q for p, q in edges)
        return FaceBox(time_s, x1, y1, x2, y2, a.score)
    return a if time_s < a.time_s + 1 else None


class Overlay:
    """The drawing over and below pictures of one size.

    Attributes:
        width_px, height_px: of the whole; even numbers, as video encoders need them.
        factor: of the enlargement of the pictures.
    """

    def __init__(
        self,
        prediction: Prediction,
        width_px: int,
        height_px: int,
        *,
        length_s: float | None,
        is_plain: bool = False,
    ) -> None:
        """Lay out the drawing for pictures of one size.

        Args:
            prediction: of the clip.
            width_px: of the pictures.
            height_px: of the pictures.
            length_s: of the timeline; None = no timeline.
            is_plain: the pictures are empty, so the prediction is large and in their middle.
        """
        self.factor = max(1, math.ceil(MIN_WIDTH_PX / width_px))
        self.picture_px = (width_px * self.factor, height_px * self.factor)
        self.width_px = self.picture_px[0] + self.picture_px[0] % 2
        self._font_px = max(MIN_FONT_PX, min(self.picture_px) // 30)
        self._boxes, self._is_plain = prediction.faces, is_plain
        label_px = 2 * self._font_px if is_plain else self._font_px
        self._label = _write_label(describe(prediction), label_px, self.width_px)
        self._timeline = None
        self.height_px = self.picture_px[1]
        if length_s is not None:
            self._timeline = _Timeline(prediction, length_s, self.width_px, self._font_px)
            self.height_px += len(self._timeline.strip)
        warnings = prediction.warnings if prediction.is_predicted else []
        self._warnings = _write_warnings(warnings, self._font_px, self.width_px)
        self._warnings_top = self.height_px
        self.height_px += len(self._warnings)
        self.height_px += self.height_px % 2

    def paint(self, rgb: Rgb, time_s: float) -> Rgb:
        """Return a picture with the box, the label, the timeline of a time, and the warnings."""
        width, height = self.picture_px
        whole = np.zeros((self.height_px, self.width_px, 3), np.uint8)
        if self.factor > 1:
            cv2.resize(rgb, self.picture_px, whole[:height, :width], interpolation=cv2.INTER_CUBIC)
        else:
            whole[:height, :width] = rgb
        whole[:height, width:] = whole[:height, width - 1 : width]
        self._mark_face(whole[:height], box_at(self._boxes, time_s))
        if self._timeline is not None:
            strip = self._timeline.paint(time_s)
            whole[height : height + len(strip)] = strip
        top = self._warnings_top
        whole[top : top + len(self._warnings)] = self._warnings
        return whole

    def _mark_face(self, picture: Rgb, box: FaceBox | None) -> None:
        margin = self._font_px // 2
        left, top = margin, margin
        if self._is_plain:
            left = (picture.shape[1] - self._label.shape[1]) // 2
            top = (len(picture) - len(self._label)) // 2
        elif box is not None:
            edges = (box.x1, box.y1, box.x2, box.y2)
            left, y1, right, y2 = (round(edge * self.factor) for edge in edges)
            thickness = max(2, self._font_px // 6)
            cv2.rectangle(picture, (left, y1), (right, y2), _rgb(BOX_COLOUR), thickness)
            left, top = left - thickness // 2, y1 - len(self._label)
            if top < 0 and y2 + len(self._label) <= len(picture):
                top = y2
        _paste(picture, self._label, left, top)


class _Timeline:
    """Speech, faces and windows over time, with a cursor."""

    def __init__(self, prediction: Prediction, length_s: float, width_px: int, font_px: int):
        self._length_s, self._font_px = max(length_s, 0.001), font_px
        self._margin = font_px // 2
        self._left = 2 * self._margin + max(round(_width(name, font_px)) for name in ROWS)
        self._right = width_px - 2 * self._margin
        row_px = round(ROW_SIZE * font_px)
        self._rows_stop = self._margin + len(ROWS) * row_px
        self.strip = plain_picture(width_px, measure_strip(font_px))
        speech = [(span.start, span.stop) for span in prediction.speech]
        windows = [(window.span.start, window.span.stop) for window in prediction.windows]
        faces = [
            (round(box.time_s * SAMPLE_RATE_HZ), round((box.time_s + 1) * SAMPLE_RATE_HZ))
            for box in prediction.faces
        ]
        for number, (name, spans, colour) in enumerate(
            zip(ROWS, (speech, faces, windows), (SPEECH_COLOUR, BOX_COLOUR, WINDOW_COLOUR),
                strict=True)
        ):  # fmt: skip
            top = self._margin + number * row_px
            _write(self.strip, name, self._margin, top - font_px // 8, font_px)
            self._fill_row(spans, colour, top, font_px, are_layered=name == "windows")
        total = _clock(length_s)
        _write(self.strip, total, self._right - round(_width(total, font_px)), self._clock_top,
               font_px)  # fmt: skip

    @property
    def _clock_top(self) -> int:
        return self._rows_stop + self._font_px // 8

    def place(self, time_s: float) -> int:
        """Return the column of a time."""
        share = min(max(time_s / self._length_s, 0.0), 1.0)
        return round(self._left + share * (self._right - self._left))

    def paint(self, time_s: float) -> Rgb:
        """Return the strip with the cursor at a time."""
        strip = self.strip.copy()
        at, thickness = self.place(time_s), max(2, self._font_px // 8)
        strip[self._margin // 2 : self._rows_stop, at : at + thickness] = 255
        clock = _clock(time_s)
        # Beside the cursor, but never over the total at the right end.
        room = self._right - round(_width(f"{clock}  {_clock(self._length_s)}", self._font_px))
        _write(strip, clock, min(at, max(room, self._left)), self._clock_top, self._font_px)
        return strip

    def _fill_row(
        self,
        spans: Sequence[tuple[int, int]],
        colour: str,
        top: int,
        height: int,
        *,
        are_layered: bool,
    ) -> None:
        self.strip[top : top + height, self._left : self._right] = 60
        for number, (start, stop) in enumerate(spans):
            x1, x2 = (self.place(edge / SAMPLE_RATE_HZ) for edge in (start, stop))
            upper, lower = top, top + height
            if are_layered:  # windows overlap, so they alternate between two lanes
                upper = top + number % 2 * (height // 2)
                lower = upper + height // 2 - 1
                x2 -= 1
            self.strip[upper:lower, x1 : max(x2, x1 + 1)] = _rgb(colour)


def measure_strip(font_px: int) -> int:
    """Return the height of a timeline."""
    return 2 * (font_px // 2) + (len(ROWS) + 1) * round(ROW_SIZE * font_px)


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # the same everywhere
    return ImageFont.truetype(str(path), size_px)


def _width(words: str, font_px: int) -> float:
    return _font(font_px).getlength(words)


def plain_picture(width_px: int, height_px: int, colour: str = INK) -> Rgb:
    """Return a picture of one colour."""
    return np.full((height_px, width_px, 3), _rgb(colour), np.uint8)


def _write_label(words: Sequence[str], font_px: int, max_px: int) -> Rgb:
    """Write words on one line, or on a line each if that line would be wider than `max_px`."""
    margin = font_px // 3
    words = list(map(printable, words))
    lines = [" · ".join(words)]
    if _width(lines[0], font_px) + 2 * margin > max_px:
        lines = words
    width = 2 * margin + math.ceil(max(_width(line, font_px) for line in lines))
    line_px = round(1.3 * font_px)
    label = plain_picture(width, 2 * (margin // 2) + line_px * len(lines))
    for number, line in enumerate(lines):
        _write(label, line, margin, margin // 2 + number * line_px, font_px)
    return label


def _write_warnings(warnings: Sequence[str], font_px: int, width_px: int) -> Rgb:
    """Write sentences one below the other; a picture without rows if there are none."""
    margin, line_px = font_px // 2, round(1.3 * font_px)
    room = width_px - 2 * margin
    lines = [line for warning in warnings for line in _wrap(printable(warning), font_px, room)]
    strip = plain_picture(width_px, margin + line_px * len(lines) if lines else 0)
    for number, line in enumerate(lines):
        _write(strip, line, margin, margin // 2 + number * line_px, font_px, WARNING_COLOUR)
    return strip


def _wrap(sentence: str, font_px: int, max_px: int) -> list[str]:
    """Break a sentence into lines, where a word begins that would not fit."""
    lines: list[str] = []
    for word in sentence.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, font_px) <= max_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _write(
    rgb: Rgb, words: str, left: int, top: int, font_px: int, colour: str = LETTER_COLOUR
) -> None:
    """Write words into a picture, with the top left corner of the line at a point."""
    right = left + math.ceil(_width(words, font_px))
    region = rgb[top : top + round(1.3 * font_px), left:right]
    image = Image.fromarray(region)
    ImageDraw.Draw(image).text((0, 0), words, font=_font(font_px), fill=_rgb(colour))
    region[:] = np.asarray(image)


def _paste(picture: Rgb, patch: Rgb, left: int, top: int) -> None:
    """Copy a patch into a picture, moved inside; a patch that is too large is cut off."""
    height, width = min(len(patch), len(picture)), min(patch.shape[1], picture.shape[1])
    top = min(max(top, 0), len(picture) - height)
    left = min(max(left, 0), picture.shape[1] - width)
    picture[top : top + height, left : left + width] = patch[:height, :width]


def _rgb(colour: str) -> Colour:
    red, green, blue = (round(255 * share) for share in colors.to_rgb(colour))
    return red, green, blue


def _clock(time_s: float) -> str:
    """Write a time as minutes and seconds: 1:02.3."""
    tenths = math.floor(time_s * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
