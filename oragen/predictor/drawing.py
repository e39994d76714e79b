"""A clip and what was answered about it -> the clip again, with the face's box and a timeline."""

import heapq
import math
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import av
import cv2
import matplotlib as mpl
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFont

from oragen.media import (
    UnusableMediaError,
    decode_frames,
    find_audio_stream,
    find_video_stream,
    in_seconds,
    open_media,
    start_of,
)
from oragen.pictures.canvas import GREEN, INK, ORANGE, SKY
from oragen.predictor.material import FaceBox
from oragen.predictor.output import describe
from oragen.predictor.prediction import Prediction
from oragen.schema import SAMPLE_RATE_HZ, UserError
from oragen.video import _is_image, _pixel_aspect, _time_frames, _to_rgb, read_image

BACKGROUND_PX: Final = (640, 360)  # width and height of a clip without pictures
BACKGROUND_COLOUR: Final = "#3a4048"
PICTURES_PER_S: Final = Fraction(10)  # of a clip without any: the cursor moves
MIN_WIDTH_PX: Final = 360  # narrower pictures are enlarged, or the words would not fit
MIN_FONT_PX: Final = 13
ROWS: Final = ("speech", "face", "windows")
ROW_SIZE: Final = 1.4  # of the font; below the rows is one with the time
AAC_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
USUAL_RATE_HZ: Final = 48_000
MAX_JITTER_S: Final = Fraction(1, 10)  # of sound; a longer hole becomes silence
FINE_TICK: Final = Fraction(1, 90_000)
COARSE_TICK: Final = Fraction(1, 60_000)  # MPEG-4 part 2 has no finer one than 1 / 65,535
BOX_COLOUR, SPEECH_COLOUR, WINDOW_COLOUR = ORANGE, GREEN, SKY

Rgb = UInt8[np.ndarray, "_ _ 3"]
Sound = Float32[np.ndarray, "samples channels"]
Colour = tuple[int, int, int]


class DrawingError(UserError):
    """A clip that cannot be drawn, or not as the target's suffix says."""


class _Shown(NamedTuple):
    """A picture, and when it is on the screen."""

    start_s: Fraction
    stop_s: Fraction
    rgb: Rgb


class _Heard(NamedTuple):
    """A stretch of sound, and when it begins."""

    start_s: Fraction
    rate_hz: int
    sound: Sound


def is_still(clip: Path) -> bool:
    """Tell whether a file holds one picture and nothing that moves.

    Raises:
        UnusableMediaError: it is no media file.
    """
    with open_media(clip, max_duration_s=math.inf) as container:
        return _is_image(container)


def draw_clip(clip: Path, prediction: Prediction, target: Path) -> None:
    """Draw the box of the face, the answer, speech and windows into a clip.

    A video keeps its sound and all its pictures at their times. They are upright and of full size,
    or enlarged by a whole factor where they are narrower than `MIN_WIDTH_PX`; the timeline is below
    them. Sound alone is given a plain background. Pictures are taken one by one, however long the
    clip is. The target appears under its name when it is whole.

    Args:
        clip: what was answered about.
        prediction: the answer.
        target: an .mp4, where an image becomes a video of one second; or a .png of an image.

    Raises:
        DrawingError: the clip cannot be decoded, or the target cannot be written.
    """
    unfinished = target.with_name(f".unfinished.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_still(clip):
            _draw_image(clip, prediction, unfinished)
        elif target.suffix.lower() == ".png":
            raise DrawingError(f"{clip} is not a single picture: draw it to {target.stem}.mp4.")
        else:
            _draw_recording(clip, prediction, unfinished)
        unfinished.replace(target)
    except UnusableMediaError as error:
        raise DrawingError(f"{clip} cannot be drawn: {error.reason}.") from error
    except OSError as error:  # some of FFmpeg's errors are such, too
        raise DrawingError(f"{clip} cannot be drawn to {target}: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def box_at(boxes: Sequence[FaceBox], time_s: float) -> FaceBox | None:
    """Return where the face is at a time: on the way from each box to the one a second later.

    The last box of a stretch holds for its second; where no face was found there is none.
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
    """What is drawn over and below pictures of one size.

    Attributes:
        width_px, height_px: of the whole, even as the encoders want it.
        factor: by which the pictures are enlarged.
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
        """Lay out what is drawn into pictures of a size.

        Args:
            prediction: the answer.
            width_px: of the pictures.
            height_px: of the pictures.
            length_s: of the timeline; None: there is none.
            is_plain: the pictures show nothing, so that the answer stands large in their middle.
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
        self.height_px += self.height_px % 2

    def paint(self, rgb: Rgb, time_s: float) -> Rgb:
        """Return a picture with the box, the label and the timeline as they are at a time."""
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
        self.strip = _plain(width_px, _strip_px(font_px))
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
        words = _clock(time_s)
        # Beside the cursor, but never over the total at the right end.
        room = self._right - round(_width(f"{words}  {_clock(self._length_s)}", self._font_px))
        _write(strip, words, min(at, max(room, self._left)), self._clock_top, self._font_px)
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
            if are_layered:  # overlapping windows lie in two lanes
                upper = top + number % 2 * (height // 2)
                lower = upper + height // 2 - 1
                x2 -= 1
            self.strip[upper:lower, x1 : max(x2, x1 + 1)] = _rgb(colour)


def _strip_px(font_px: int) -> int:
    """Return the height of a timeline."""
    return 2 * (font_px // 2) + (len(ROWS) + 1) * round(ROW_SIZE * font_px)


def _draw_image(clip: Path, prediction: Prediction, target: Path) -> None:
    rgb = read_image(clip).rgb
    overlay = Overlay(prediction, rgb.shape[1], rgb.shape[0], length_s=None)
    if target.suffix.lower() == ".png":
        _, png = cv2.imencode(".png", overlay.paint(rgb, 0.0)[..., ::-1])
        target.write_bytes(png.tobytes())
    else:
        _write_video(target, overlay, _repeat(rgb, 1.0), None, PICTURES_PER_S)


def _draw_recording(clip: Path, prediction: Prediction, target: Path) -> None:
    with (
        open_media(clip, max_duration_s=math.inf) as container,
        closing(_read_sound(clip)) as sound,
    ):
        length_s = (container.duration or 0) / av.time_base or prediction.length_s
        heard = _begin(sound)
        try:
            stream = find_video_stream(clip, container)
            pictures = _read_pictures(clip, container, stream)
            first = next(pictures)
        except UnusableMediaError:
            if heard is None:
                raise
            width, height = BACKGROUND_PX
            height -= _strip_px(MIN_FONT_PX)
            overlay = Overlay(prediction, width, height, length_s=length_s, is_plain=True)
            shown = _repeat(_plain(width, height, BACKGROUND_COLOUR), length_s)
            _write_video(target, overlay, shown, heard, PICTURES_PER_S)
        else:
            height, width = first.rgb.shape[:2]
            overlay = Overlay(prediction, width, height, length_s=length_s)
            rate_hz = stream.average_rate or stream.guessed_rate or Fraction(25)
            _write_video(target, overlay, chain([first], pictures), heard, rate_hz)


def _begin(sound: Iterator[_Heard]) -> Iterator[_Heard] | None:
    """Take the first stretch, and put it back; None where there is no sound."""
    try:
        first = next(sound, None)
    except UnusableMediaError:
        return None
    return None if first is None else chain([first], sound)


def _repeat(rgb: Rgb, length_s: float) -> Iterator[_Shown]:
    for number in range(max(1, math.ceil(length_s * PICTURES_PER_S))):
        yield _Shown(number / PICTURES_PER_S, (number + 1) / PICTURES_PER_S, rgb)


def _read_pictures(clip: Path, container: InputContainer, stream: VideoStream) -> Iterator[_Shown]:
    """Yield all pictures of a video, upright and of the size of the first."""
    stream.thread_type = "AUTO"
    frames = decode_frames(clip, container, stream, [])
    size: tuple[int, ...] | None = None
    for start, stop, frame in _time_frames(frames, stream, start_of(container)):
        rgb = _to_rgb(frame, _pixel_aspect(stream))
        size = size or rgb.shape[1::-1]
        if rgb.shape[1::-1] != size:
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        yield _Shown(start, stop, rgb)


def _read_sound(clip: Path) -> Generator[_Heard, None, None]:
    """Yield the sound in one or two channels; a hole is silence, as is what precedes a late start.

    Raises:
        UnusableMediaError: on the first step; there is none.
    """
    with open_media(clip, max_duration_s=math.inf) as container:
        stream = find_audio_stream(clip, container)
        rate_hz = stream.rate if stream.rate in AAC_RATES_HZ else USUAL_RATE_HZ
        num_samples = 0
        for start, sound in _convert(clip, container, stream, rate_hz):
            missing = 0 if start is None else math.floor(start * rate_hz) - num_samples
            silence = _silence(missing, rate_hz, sound.shape[1])
            for part in chain(silence if missing > MAX_JITTER_S * rate_hz else (), (sound,)):
                yield _Heard(Fraction(num_samples, rate_hz), rate_hz, part)
                num_samples += len(part)


def _silence(num_samples: int, at_once: int, num_channels: int) -> Iterator[Sound]:
    for start in range(0, num_samples, at_once):
        yield np.zeros((min(at_once, num_samples - start), num_channels), np.float32)


def _convert(
    clip: Path, container: InputContainer, stream: AudioStream, rate_hz: int
) -> Iterator[tuple[Fraction | None, Sound]]:
    """Yield the decoded sound at a rate, and when each stretch begins where the file says it."""
    origin, kind, num_channels = start_of(container), None, 0
    resampler = AudioResampler(format="flt", rate=rate_hz)
    for frame in decode_frames(clip, container, stream, []):
        if not isinstance(frame, AudioFrame) or not frame.samples:
            continue
        if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
            resampler = AudioResampler(format="flt", rate=rate_hz)
        num_channels = num_channels or (2 if frame.layout.nb_channels == 2 else 1)
        stamp = in_seconds(frame.pts, frame.time_base)
        parts = resampler.resample(frame)
        sound = [_to_channels(part, num_channels) for part in parts if part.samples]
        if sound:
            yield None if stamp is None else stamp - origin, np.concatenate(sound)


def _to_channels(frame: AudioFrame, num_channels: int) -> Sound:
    channels = np.nan_to_num(frame.to_ndarray().reshape(frame.samples, -1))
    if channels.shape[1] != num_channels:
        channels = np.repeat(channels.mean(axis=1, keepdims=True), num_channels, axis=1)
    return np.asarray(channels, np.float32)


def _write_video(
    target: Path,
    overlay: Overlay,
    shown: Iterator[_Shown],
    heard: Iterator[_Heard] | None,
    rate_hz: Fraction,
) -> None:
    """Encode pictures and sound as they come, in the order of time."""
    with av.open(
        f"file:{target.absolute()}", "w", format="mp4", options={"movflags": "faststart"}
    ) as container:
        video = _add_video(container, overlay, rate_hz)
        audio: AudioStream | None = None
        if heard is not None:
            begun = next(heard)
            num_channels = begun.sound.shape[1]
            layout = "stereo" if num_channels == 2 else "mono"
            audio = container.add_stream("aac", rate=begun.rate_hz, layout=layout)
            heard = chain([begun], heard)
        last_tick = -1
        items: Iterator[_Shown | _Heard] = heapq.merge(
            shown, heard or iter(()), key=lambda item: item.start_s
        )
        for item in items:
            if isinstance(item, _Shown):
                frame = _to_frame(item, overlay, video.codec_context.time_base, last_tick + 1)
                last_tick = frame.pts or 0
                container.mux(video.encode(frame))
            elif audio is not None:
                container.mux(audio.encode(_to_audio_frame(item)))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))


def _add_video(container: OutputContainer, overlay: Overlay, rate_hz: Fraction) -> VideoStream:
    rate_hz = rate_hz.limit_denominator(1001)
    if "libx264" in av.codecs_available:
        stream = container.add_stream("libx264", rate=rate_hz)
        # Few pictures are looked ahead at: one in 4K takes 12 MB.
        stream.options = {"preset": "veryfast", "crf": "20", "rc-lookahead": "10"}
    else:
        stream = container.add_stream("mpeg4", rate=rate_hz)
        stream.options = {"q:v": "4"}
    context = stream.codec_context
    context.time_base = FINE_TICK if context.name == "libx264" else COARSE_TICK
    context.flags |= Flags.frame_duration
    stream.width, stream.height, stream.pix_fmt = overlay.width_px, overlay.height_px, "yuv420p"
    return stream


def _to_frame(shown: _Shown, overlay: Overlay, tick: Fraction, first: int) -> VideoFrame:
    frame = VideoFrame.from_ndarray(overlay.paint(shown.rgb, float(shown.start_s)), format="rgb24")
    frame.time_base = tick
    start = max(round(shown.start_s / tick), first)  # two at one time follow each other
    frame.pts, frame.duration = start, max(1, round(shown.stop_s / tick) - start)
    return frame


def _to_audio_frame(heard: _Heard) -> AudioFrame:
    layout = "stereo" if heard.sound.shape[1] == 2 else "mono"
    planes = np.ascontiguousarray(heard.sound.T)
    frame = AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
    frame.sample_rate, frame.time_base = heard.rate_hz, Fraction(1, heard.rate_hz)
    frame.pts = round(heard.start_s * heard.rate_hz)
    return frame


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # the same everywhere
    return ImageFont.truetype(str(path), size_px)


def _width(words: str, font_px: int) -> float:
    return _font(font_px).getlength(words)


def _plain(width_px: int, height_px: int, colour: str = INK) -> Rgb:
    return np.full((height_px, width_px, 3), _rgb(colour), np.uint8)


def _write_label(words: Sequence[str], font_px: int, max_px: int) -> Rgb:
    """Write words on one line, or on one each where that would be wider than `max_px`."""
    margin = font_px // 3
    lines = [" · ".join(words)]
    if _width(lines[0], font_px) + 2 * margin > max_px:
        lines = list(words)
    width = 2 * margin + math.ceil(max(_width(line, font_px) for line in lines))
    line_px = round(1.3 * font_px)
    label = _plain(width, 2 * (margin // 2) + line_px * len(lines))
    for number, line in enumerate(lines):
        _write(label, line, margin, margin // 2 + number * line_px, font_px)
    return label


def _write(rgb: Rgb, words: str, left: int, top: int, font_px: int) -> None:
    """Write words into a picture, their line beginning at a corner."""
    right = left + math.ceil(_width(words, font_px))
    region = rgb[top : top + round(1.3 * font_px), left:right]
    image = Image.fromarray(region)
    ImageDraw.Draw(image).text((0, 0), words, font=_font(font_px), fill=(240, 240, 240))
    region[:] = np.asarray(image)


def _paste(picture: Rgb, patch: Rgb, left: int, top: int) -> None:
    """Copy a patch into a picture, moved to be inside; what is too large is cut off."""
    height, width = min(len(patch), len(picture)), min(patch.shape[1], picture.shape[1])
    top = min(max(top, 0), len(picture) - height)
    left = min(max(left, 0), picture.shape[1] - width)
    picture[top : top + height, left : left + width] = patch[:height, :width]


def _rgb(colour: str) -> Colour:
    red, green, blue = (round(255 * share) for share in to_rgb(colour))
    return red, green, blue


def _clock(time_s: float) -> str:
    """Write a time as minutes and seconds: 1:02.3."""
    tenths = math.floor(time_s * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
