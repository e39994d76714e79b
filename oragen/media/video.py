"""One video or image file -> pictures at a steady rate."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from oragen.media.container import (
    decode_frames,
    in_seconds,
    open_media,
    too_long,
)
from oragen.media.errors import UnusableMediaError
from oragen.media.images import Picture, check_declared, decode_image, is_image
from oragen.media.limits import MAX_PIXELS, check_size
from oragen.media.pictures import pixel_aspect, to_rgb
from oragen.media.tracks import note_use, rank_video_tracks, start_of
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

_ROUNDING_S: Final = Fraction(1, 1000)  # Matroska keeps whole milliseconds
_DEFAULT_RATE: Final = Fraction(25)  # for a video that says neither rate nor time stamps


def sample_pictures(
    path: Path,
    *,
    max_duration_s: float,
    pictures_per_second: float = 1.0,
    max_pixels: int = MAX_PIXELS,
    num_passed_tracks: int = 0,
    notes: list[str] | None = None,
    ends_s: list[Fraction] | None = None,
) -> Iterator[Picture]:
    """Yield one picture for every `1 / pictures_per_second` seconds of a video; an image gives one.

    The picture for time t is the first frame in [t, t + step), and where none starts there the
    frame still shown at that time. A video of d seconds gives pictures for 0, 1, ... ceil(d) - 1,
    less any whole second before its first frame. Time 0 is the start of the file, be it sound or a
    picture. Pictures are as a player shows them: turned and mirrored as the file says, with
    square pixels. A video that breaks off or is damaged midway is decoded as far as possible; each
    problem adds a line to `notes`. A JPEG file that breaks off yields its intact rows, or the whole
    picture in less detail if it was stored in passes. Of several tracks, the first that can be
    decoded is used, in the order of a player.

    Args:
        path: of the file.
        max_duration_s: a longer video is refused.
        pictures_per_second: of a video.
        max_pixels: a larger picture is refused.
        num_passed_tracks: so many tracks of a video that can be decoded are passed over.
        notes: gets a line for each problem, and for a track that is not the first.
        ends_s: gets the time at which the last frame of a video ends, when all are read.

    Raises:
        UnusableMediaError: on the first step, no media file, no pictures, too large, or too long by
            its header; on a later step, longer than its header said.
    """
    notes = [] if notes is None else notes
    ends_s = [] if ends_s is None else ends_s
    step = 1 / Fraction(pictures_per_second).limit_denominator(1000)
    track = num_passed_tracks
    problem: UnusableMediaError | None = None
    while True:
        with open_media(path, max_duration_s=max_duration_s) as container:
            if is_image(container):
                yield decode_image(path, container, max_pixels, notes)
                return
            ranked = rank_video_tracks(path, container)
            stream = ranked[track]
            limits = _Limits(max_duration_s, max_pixels)
            pictures = _sample_track(path, container, stream, step, limits, notes, ends_s)
            try:
                first = next(pictures, None)
            except UnusableMediaError as error:
                problem = problem or error  # that of the track that a player would choose
                track += 1
                if track == len(ranked):
                    raise problem from (None if problem is error else error)
                continue
            if first is not None:
                yield first
                yield from pictures
            notes += note_use(stream, container.streams.video)
            return


class _Limits(NamedTuple):
    """A longer video and a larger picture are refused."""

    max_duration_s: float
    max_pixels: int


def _sample_track(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    step: Fraction,
    limits: _Limits,
    notes: list[str],
    ends_s: list[Fraction],
) -> Iterator[Picture]:
    """Yield the pictures of one track of an open file."""
    check_declared(path, stream, limits.max_pixels)
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    frames = time_frames(decode_frames(path, container, stream, notes), stream, start_of(container))
    for time, frame in _take_every(step, frames, ends_s, most_s=limits.max_duration_s):
        if time > limits.max_duration_s:
            raise too_long(path, limits.max_duration_s, "its pictures go on after that")
        check_size(path, frame.width, frame.height, limits.max_pixels)
        yield Picture(round(time * SAMPLE_RATE_HZ), to_rgb(frame, pixel_aspect(stream)))


def count_tracks(path: Path) -> int:
    """Return how many video tracks of a file could be decoded; an image has one."""
    with open_media(path, max_duration_s=float("inf")) as container:
        return 1 if is_image(container) else len(rank_video_tracks(path, container))


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
    step: Fraction, frames: Iterable[_TimedFrame], ends_s: list[Fraction], *, most_s: float
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Yield the frame for each multiple of `step` seconds, with that time.

    A hole before a frame that comes after `most_s` is not filled. `ends_s` gets the end of the
    last frame.
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
    ends_s += [last.stop] if last else []
