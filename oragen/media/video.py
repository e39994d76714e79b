"""One video or image file -> pictures at a steady rate."""

import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from oragen.media.container import (
    decode_frames,
    in_seconds,
    open_media,
    too_long,
)
from oragen.media.errors import UnusableMediaError
from oragen.media.limits import MAX_PIXELS, check_size, read_size
from oragen.media.orientation import display_matrix, turn_upright
from oragen.media.tracks import rank_video_tracks, start_of
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

logger = logging.getLogger(__name__)

_ROUNDING_S: Final = Fraction(1, 1000)  # Matroska keeps whole milliseconds
_DEFAULT_RATE: Final = Fraction(25)  # for a video that says neither rate nor time stamps
_START_OF_JPEG: Final = b"\xff\xd8\xff"
_END_OF_JPEG: Final = b"\xff\xd9"
_UNKNOWN_LEVEL: Final = 128  # red, green and blue where nothing was decoded

Rgb = UInt8[np.ndarray, "height width 3"]


class Picture(NamedTuple):
    """One picture of a clip and where in the clip it belongs, in samples at 16 kHz."""

    sample: int
    rgb: Rgb


def sample_pictures(
    path: Path,
    *,
    max_duration_s: float,
    pictures_per_second: float = 1.0,
    max_pixels: int = MAX_PIXELS,
    notes: list[str] | None = None,
) -> Iterator[Picture]:
    """Yield one picture for every `1 / pictures_per_second` seconds of a video; an image gives one.

    The picture for time t is the first frame in [t, t + step), and where none starts there the
    frame still shown at that time. A video of d seconds gives pictures for 0, 1, ... ceil(d) - 1,
    less any whole second before its first frame. Time 0 is the start of the file, be it sound or a
    picture. Pictures are as a player shows them: turned and mirrored as the file says,
    with square pixels. A video
    that breaks off or is damaged midway is decoded as far as possible; each problem adds a line to
    `notes`. A JPEG file that breaks off yields its intact rows, or the whole picture in less detail
    if it was stored in passes.

    Raises:
        UnusableMediaError: on the first step, no media file, no pictures, too large, or too long by
            its header; on a later step, longer than its header said.
    """
    notes = [] if notes is None else notes
    step = 1 / Fraction(pictures_per_second).limit_denominator(1000)
    with open_media(path, max_duration_s=max_duration_s) as container:
        if is_image(container):
            yield _decode_image(path, container, max_pixels, notes)
            return
        stream = rank_video_tracks(path, container)[0]
        _check_declared(path, stream, max_pixels)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        frames = time_frames(
            decode_frames(path, container, stream, notes), stream, start_of(container)
        )
        for time, frame in _take_every(step, frames, most_s=max_duration_s):
            if time > max_duration_s:
                raise too_long(path, max_duration_s, "its pictures go on after that")
            check_size(path, frame.width, frame.height, max_pixels)
            yield Picture(round(time * SAMPLE_RATE_HZ), to_rgb(frame, pixel_aspect(stream)))


def read_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, notes: list[str] | None = None
) -> Picture:
    """One image file -> its picture, upright as its EXIF orientation says, at sample 0.

    A file that breaks off is read as in `sample_pictures`, with a line in `notes`.

    Raises:
        UnusableMediaError: no image, damaged, or more than `max_pixels`.
    """
    with open_media(path, max_duration_s=float("inf")) as container:
        if not is_image(container):
            raise UnusableMediaError(path, "not a picture", f"format {container.format.name}")
        return _decode_image(path, container, max_pixels, [] if notes is None else notes)


def is_image(container: InputContainer) -> bool:
    return container.format.name.endswith("_pipe") or container.format.name == "image2"


def _decode_image(
    path: Path, container: InputContainer, max_pixels: int, notes: list[str]
) -> Picture:
    stream = rank_video_tracks(path, container)[0]
    _check_declared(path, stream, max_pixels)
    content = path.read_bytes()
    rgb = _decode_whole(path, content)
    if rgb is None and content.startswith(_START_OF_JPEG):
        rgb = _decode_beginning(path, content, notes)
    if rgb is None:
        raise UnusableMediaError(path, "truncated or damaged")
    return Picture(0, rgb)


def _check_declared(path: Path, stream: VideoStream, max_pixels: int) -> None:
    width, height = stream.width, stream.height
    if width * height == 0:  # FFmpeg refused to look at a picture of that size
        width, height = read_size(path)
    check_size(path, width, height, max_pixels)


def _decode_whole(path: Path, content: bytes) -> Rgb | None:
    import cv2

    try:
        # OpenCV rather than FFmpeg: it knows all eight EXIF orientations, the mirrored ones too.
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        raise UnusableMediaError(path, "truncated or damaged", str(error)) from error
    return None if bgr is None else np.ascontiguousarray(bgr[..., ::-1], np.uint8)  # BGR -> RGB


def _decode_beginning(path: Path, content: bytes, notes: list[str]) -> Rgb | None:
    """Close a JPEG file that breaks off, and cut off the rows that libjpeg fills with grey."""
    rgb = _decode_whole(path, content + _END_OF_JPEG)
    if rgb is None:
        return None
    known = np.flatnonzero((rgb != _UNKNOWN_LEVEL).any(axis=(1, 2)))  # height, width, 3 -> rows
    num_rows = int(known[-1]) + 1 if len(known) else 0
    notes.append(f"truncated or damaged: {num_rows} of {len(rgb)} rows of the picture are there")
    logger.warning("%s: %s", path, notes[-1])
    return rgb[:num_rows] if num_rows else None


class _TimedFrame(NamedTuple):
    """A video frame and when it is shown, in seconds since the start of the file."""

    start: Fraction
    stop: Fraction
    frame: VideoFrame


def time_frames(
    frames: Iterable[AudioFrame | VideoFrame], stream: VideoStream, origin: Fraction
) -> Iterator[_TimedFrame]:
    """Give each video frame its start and stop; a missing time follows from the frame before."""
    default_length = 1 / (stream.average_rate or stream.guessed_rate or _DEFAULT_RATE)
    stop = Fraction(0)
    for frame in frames:
        if isinstance(frame, VideoFrame):
            stamp = in_seconds(frame.pts, frame.time_base)
            start = stop if stamp is None else stamp - origin
            stop = start + (in_seconds(frame.duration, frame.time_base) or default_length)
            yield _TimedFrame(start, stop, frame)


def _take_every(
    step: Fraction, frames: Iterable[_TimedFrame], *, most_s: float
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Yield the frame for each multiple of `step` seconds, with that time.

    A hole before a frame that comes after `most_s` is not filled.
    """
    time, last = Fraction(0), None
    for timed in frames:
        start = timed.start + _ROUNDING_S
        if start > most_s + 1:
            yield start, timed.frame
            return
        if last is None:
            time = max(time, start // step * step)
        while time + step <= start and last is not None:
            yield time, last.frame
            time += step
        if time <= start:
            yield time, timed.frame
            time += step
        last = timed
    while last is not None and time + _ROUNDING_S < last.stop:
        yield time, last.frame
        time += step


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Return width by height of one pixel; an implausible ratio counts as square."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return aspect if Fraction(1, 4) <= aspect <= 4 else Fraction(1)


def to_rgb(frame: VideoFrame, pixel_aspect: Fraction) -> Rgb:
    """Video frame -> picture as a player shows it: upright, with square pixels."""
    rgb = frame.to_ndarray(format="rgb24", width=round(frame.width * pixel_aspect))
    return turn_upright(rgb, display_matrix(frame))
