"""A clip and its prediction -> the clip with the box of the face, the prediction, a timeline."""

import heapq
import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8

from oragen.media.container import (
    decode_frames,
    in_seconds,
    open_media,
)
from oragen.media.errors import UnusableMediaError
from oragen.media.images import is_image, read_image
from oragen.media.pictures import pixel_aspect, to_rgb
from oragen.media.tracks import (
    find_noted_use,
    rank_audio_tracks,
    rank_video_tracks,
    start_of,
)
from oragen.media.video import time_frames
from oragen.predictor.overlay import (
    BACKGROUND_COLOUR,
    MIN_FONT_PX,
    Overlay,
    measure_strip,
    plain_picture,
)
from oragen.predictor.prediction import Prediction
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.surroundings import FULL, explain_os_error

BACKGROUND_PX: Final = (640, 360)  # width and height of a clip without pictures
PICTURES_PER_S: Final = Fraction(10)  # of a clip without video: the cursor moves
AAC_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
DEFAULT_RATE_HZ: Final = 48_000
MAX_JITTER_S: Final = Fraction(1, 10)  # of audio; a longer hole becomes silence
FINE_TICK: Final = Fraction(1, 90_000)
COARSE_TICK: Final = Fraction(1, 60_000)  # MPEG-4 part 2 has no finer one than 1 / 65,535

Rgb = UInt8[np.ndarray, "_ _ 3"]
Sound = Float32[np.ndarray, "samples channels"]


class DrawingError(UserError):
    """A clip that cannot be drawn, or not to a file of this suffix."""


class _TimedPicture(NamedTuple):
    """A picture, and when it is shown."""

    start_s: Fraction
    stop_s: Fraction
    rgb: Rgb


class _TimedSound(NamedTuple):
    """A stretch of audio, and when it begins."""

    start_s: Fraction
    rate_hz: int
    sound: Sound


def is_still(clip: Path) -> bool:
    """Return whether a file is a single picture.

    Raises:
        UnusableMediaError: it is no media file.
    """
    with open_media(clip, max_duration_s=math.inf) as container:
        return is_image(container)


def draw_clip(clip: Path, prediction: Prediction, target: Path) -> None:
    """Draw the box of the face, the prediction, speech and windows into a clip.

    A video keeps its audio and all its pictures at their times. Pictures are upright and of full
    size, or enlarged by a whole factor if they are narrower than `MIN_WIDTH_PX`; the timeline is
    below them. Audio alone gets a plain background. Pictures are drawn one by one, so a clip may be
    long. The target appears under its name when it is complete.

    Args:
        clip: a file.
        prediction: of this file.
        target: an .mp4 file, where an image becomes a video of one second; or a .png of an image.

    Raises:
        DrawingError: the clip cannot be decoded, or the target cannot be written.
    """
    reason = prediction.modalities["face"].reason or ""
    if reason.startswith("decoding "):  # more than a clip may take; drawing would take it here
        raise DrawingError(f"{clip} cannot be drawn: {reason}.")
    try:
        with atomic_write(target) as unfinished:
            if is_still(clip):
                _draw_image(clip, prediction, unfinished)
            elif target.suffix.lower() == ".png":
                raise DrawingError(
                    f"{clip} is not a single picture, so {target.name} cannot show it. Draw it to "
                    f"{target.stem}.mp4."
                )
            else:
                _draw_recording(clip, prediction, unfinished)
    except UnusableMediaError as error:
        raise DrawingError(f"{clip} cannot be drawn: {error.reason}.") from error
    except MemoryError as error:
        raise DrawingError(f"{clip} cannot be drawn: it needs too much memory.") from error
    except OSError as error:  # of writing; some errors of FFmpeg are OSErrors, too
        raise DrawingError(f"{clip} cannot be drawn to {explain_os_error(error)}") from error


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
        closing(_read_sound(clip, prediction.notes)) as sound,
    ):
        declared_s = (container.duration or 0) / av.time_base
        is_longer = prediction.length_s > declared_s + 1  # of recordings that were joined
        length_s = prediction.length_s if is_longer else declared_s
        sounds = _begin(sound)
        try:
            ranked = rank_video_tracks(clip, container)
            stream = find_noted_use(prediction.notes, container.streams.video, ranked[0])
            pictures = _read_pictures(clip, container, stream)
            first = next(pictures)
        except UnusableMediaError:
            if sounds is None:
                raise
            width, height = BACKGROUND_PX
            height -= measure_strip(MIN_FONT_PX)
            overlay = Overlay(prediction, width, height, length_s=length_s, is_plain=True)
            background = _repeat(plain_picture(width, height, BACKGROUND_COLOUR), length_s)
            _write_video(target, overlay, background, sounds, PICTURES_PER_S)
        else:
            height, width = first.rgb.shape[:2]
            overlay = Overlay(prediction, width, height, length_s=length_s)
            rate_hz = stream.average_rate or stream.guessed_rate or Fraction(25)
            _write_video(target, overlay, chain([first], pictures), sounds, rate_hz)


def _begin(sound: Iterator[_TimedSound]) -> Iterator[_TimedSound] | None:
    """Return the sound with its first stretch read; None if there is no sound."""
    try:
        first = next(sound, None)
    except UnusableMediaError:
        return None
    return None if first is None else chain([first], sound)


def _repeat(rgb: Rgb, length_s: float) -> Iterator[_TimedPicture]:
    for number in range(max(1, math.ceil(length_s * PICTURES_PER_S))):
        yield _TimedPicture(number / PICTURES_PER_S, (number + 1) / PICTURES_PER_S, rgb)


def _read_pictures(
    clip: Path, container: InputContainer, stream: VideoStream
) -> Iterator[_TimedPicture]:
    """Yield all pictures of a video, upright and in the size of the first."""
    stream.thread_type = "AUTO"
    frames = decode_frames(clip, container, stream, [])
    size: tuple[int, ...] | None = None
    for start, stop, frame in time_frames(frames, stream, start_of(container)):
        rgb = to_rgb(frame, pixel_aspect(stream))
        size = size or rgb.shape[1::-1]
        if rgb.shape[1::-1] != size:
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        yield _TimedPicture(start, stop, rgb)


def _read_sound(clip: Path, notes: Sequence[str]) -> Generator[_TimedSound, None, None]:
    """Yield the audio in one or two channels; holes and a late start become silence.

    It is the track that notes of the prediction name, or the one that a player would choose.

    Raises:
        UnusableMediaError: on the first step; there is no audio.
    """
    with open_media(clip, max_duration_s=math.inf) as container:
        ranked = rank_audio_tracks(clip, container)
        stream = find_noted_use(notes, container.streams.audio, ranked[0])
        rate_hz = stream.rate if stream.rate in AAC_RATES_HZ else DEFAULT_RATE_HZ
        num_samples = 0
        for start, sound in _convert(clip, container, stream, rate_hz):
            missing = 0 if start is None else math.floor(start * rate_hz) - num_samples
            silence = _silence(missing, rate_hz, sound.shape[1])
            for part in chain(silence if missing > MAX_JITTER_S * rate_hz else (), (sound,)):
                yield _TimedSound(Fraction(num_samples, rate_hz), rate_hz, part)
                num_samples += len(part)


def _silence(num_samples: int, at_once: int, num_channels: int) -> Iterator[Sound]:
    for start in range(0, num_samples, at_once):
        yield np.zeros((min(at_once, num_samples - start), num_channels), np.float32)


def _convert(
    clip: Path, container: InputContainer, stream: AudioStream, rate_hz: int
) -> Iterator[tuple[Fraction | None, Sound]]:
    """Yield the decoded audio at a rate, and the start of each stretch if the file gives it."""
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
    # packed: 1, samples * channels -> samples, channels
    channels = np.nan_to_num(frame.to_ndarray().reshape(frame.samples, -1))
    if channels.shape[1] != num_channels:
        channels = np.repeat(channels.mean(axis=1, keepdims=True), num_channels, axis=1)
    return np.asarray(channels, np.float32)


@contextmanager
def _full_disk_named(target: Path) -> Iterator[None]:
    """Tell a full disk from a clip that FFmpeg cannot decode; it says both in one kind of error."""
    try:
        yield
    except FFmpegError as error:
        if error.errno not in FULL:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(target)) from error


def _write_video(
    target: Path,
    overlay: Overlay,
    pictures: Iterator[_TimedPicture],
    sounds: Iterator[_TimedSound] | None,
    rate_hz: Fraction,
) -> None:
    """Encode pictures and audio as they come, in order of time."""
    with (
        _full_disk_named(target),
        av.open(
            f"file:{target.absolute()}", "w", format="mp4", options={"movflags": "faststart"}
        ) as container,
    ):
        video = _add_video(container, overlay, rate_hz)
        audio: AudioStream | None = None
        if sounds is not None:
            first = next(sounds)
            num_channels = first.sound.shape[1]
            layout = "stereo" if num_channels == 2 else "mono"
            audio = container.add_stream("aac", rate=first.rate_hz, layout=layout)
            sounds = chain([first], sounds)
        last_tick = -1
        items: Iterator[_TimedPicture | _TimedSound] = heapq.merge(
            pictures, sounds or iter(()), key=lambda item: item.start_s
        )
        for item in items:
            if isinstance(item, _TimedPicture):
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
        # A short look-ahead: each picture in 4K takes 12 MB.
        stream.options = {"preset": "veryfast", "crf": "20", "rc-lookahead": "10"}
    else:
        stream = container.add_stream("mpeg4", rate=rate_hz)
        stream.options = {"q:v": "4"}
    context = stream.codec_context
    context.time_base = FINE_TICK if context.name == "libx264" else COARSE_TICK
    context.flags |= Flags.frame_duration
    stream.width, stream.height, stream.pix_fmt = overlay.width_px, overlay.height_px, "yuv420p"
    return stream


def _to_frame(timed: _TimedPicture, overlay: Overlay, tick: Fraction, first: int) -> VideoFrame:
    frame = VideoFrame.from_ndarray(overlay.paint(timed.rgb, float(timed.start_s)), format="rgb24")
    frame.time_base = tick
    start = max(round(timed.start_s / tick), first)  # two at one time follow each other
    frame.pts, frame.duration = start, max(1, round(timed.stop_s / tick) - start)
    return frame


def _to_audio_frame(timed: _TimedSound) -> AudioFrame:
    layout = "stereo" if timed.sound.shape[1] == 2 else "mono"
    planes = np.ascontiguousarray(timed.sound.T)  # samples, channels -> channels, samples
    frame = AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
    frame.sample_rate, frame.time_base = timed.rate_hz, Fraction(1, timed.rate_hz)
    frame.pts = round(timed.start_s * timed.rate_hz)
    return frame
