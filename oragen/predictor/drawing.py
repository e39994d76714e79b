"""A clip and what was answered about it -> the clip again, with the face's box and a timeline."""

import heapq
import math
from collections.abc import Generator, Iterator
from contextlib import closing
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
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8

from oragen.media.container import (
    UnusableMediaError,
    decode_frames,
    find_audio_stream,
    find_video_stream,
    in_seconds,
    open_media,
    start_of,
)
from oragen.media.video import is_image, pixel_aspect, read_image, time_frames, to_rgb
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

BACKGROUND_PX: Final = (640, 360)  # width and height of a clip without pictures
PICTURES_PER_S: Final = Fraction(10)  # of a clip without any: the cursor moves
AAC_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
USUAL_RATE_HZ: Final = 48_000
MAX_JITTER_S: Final = Fraction(1, 10)  # of sound; a longer hole becomes silence
FINE_TICK: Final = Fraction(1, 90_000)
COARSE_TICK: Final = Fraction(1, 60_000)  # MPEG-4 part 2 has no finer one than 1 / 65,535

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
        return is_image(container)


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
    try:
        with atomic_write(target) as unfinished:
            if is_still(clip):
                _draw_image(clip, prediction, unfinished)
            elif target.suffix.lower() == ".png":
                raise DrawingError(f"{clip} is not a single picture: draw it to {target.stem}.mp4.")
            else:
                _draw_recording(clip, prediction, unfinished)
    except UnusableMediaError as error:
        raise DrawingError(f"{clip} cannot be drawn: {error.reason}.") from error
    except OSError as error:  # some of FFmpeg's errors are such, too
        raise DrawingError(f"{clip} cannot be drawn to {target}: {error}.") from error


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
            height -= measure_strip(MIN_FONT_PX)
            overlay = Overlay(prediction, width, height, length_s=length_s, is_plain=True)
            shown = _repeat(plain_picture(width, height, BACKGROUND_COLOUR), length_s)
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
    for start, stop, frame in time_frames(frames, stream, start_of(container)):
        rgb = to_rgb(frame, pixel_aspect(stream))
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
