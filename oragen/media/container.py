"""A media file, or anything else -> its decoded frames, or one error that gives the reason."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from oragen.media.errors import UnusableMediaError
from oragen.media.joins import has_joined_recording
from oragen.media.limits import MAX_PIXELS, MIN_RATE_HZ, raise_if_memory
from oragen.media.signatures import HEAD_BYTES, begins_like_media, has_header
from oragen.media.timeline import Timeline, place_packets
from oragen.schema.errors import UserError

logger = logging.getLogger(__name__)

# FFmpeg reads these too, but they are no recordings: play lists, which would open further files,
# and text drawn as pictures.
_NOT_RECORDINGS: Final = frozenset({"concat", "dash", "hls", "imf", "sdp", "tty"})
_SAMPLE_BYTES: Final = {  # FFmpeg's names
    "s8": 1, "u8": 1, "alaw": 1, "mulaw": 1, "s16le": 2, "s16be": 2, "s24le": 3, "s24be": 3,
    "s32le": 4, "s32be": 4, "f32le": 4, "f32be": 4,
}  # fmt: skip
# FFmpeg decodes the beginning of a file to look at it, and would reserve what a header asks for.
_OPTIONS: Final = {"protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
_MAX_RATE_HZ: Final = 384_000
_GUESSED_DURATION: Final = frozenset({"aac", "mp3"})  # FFmpeg divides the size by the bit rate
_MAX_SHORTFALL_S: Final = 1
_TS_DISCONT: Final = 512  # FFmpeg's flag of formats whose clock may jump
_TAGS: Final = (b"ID3", b"TAG", b"APETAGEX")  # between MP3 files that were joined: no sound


class EncodingError(UserError):
    """An encoding of headerless audio that is not known."""


class SoundEncoding(NamedTuple):
    """How headerless audio of one channel is stored."""

    sample_format: str
    rate_hz: int


def parse_encoding(text: str) -> SoundEncoding:
    """Read `<sample format>@<rate in Hz>`, e.g. s16le@8000 or alaw@8000.

    Raises:
        EncodingError: the format or the rate is not known; names those that are.
    """
    sample_format, _, rate = text.partition("@")
    rate_hz = int(rate) if rate.isascii() and rate.isdecimal() else 0
    if sample_format not in _SAMPLE_BYTES or not MIN_RATE_HZ <= rate_hz <= _MAX_RATE_HZ:
        raise EncodingError(
            f"{text!r} is no encoding of headerless sound. Write <sample format>@<rate in Hz>, "
            f"e.g. s16le@8000. Formats: {', '.join(_SAMPLE_BYTES)}. Rates: {MIN_RATE_HZ} to "
            f"{_MAX_RATE_HZ}."
        )
    return SoundEncoding(sample_format, rate_hz)


@contextmanager
def open_media(
    path: Path, *, max_duration_s: float, encoding: SoundEncoding | None = None
) -> Iterator[InputContainer]:
    """One local file -> its open container, closed at the end.

    Args:
        path: of the file.
        max_duration_s: a file whose header declares more is refused.
        encoding: of headerless audio. A file that has a header after all, such as a WAV copy, is
            read by its header.

    Raises:
        UnusableMediaError: it is no readable media file, or declares a duration of more than
            `max_duration_s`.
    """
    head = _read_head(path)
    if has_header(head):
        encoding = None
    try:
        container = av.open(
            f"file:{path.absolute()}",  # a bare "a:b.mp4" would be taken for a protocol
            format=encoding.sample_format if encoding else None,
            options=_OPTIONS | _as_options(encoding),
            metadata_errors="replace",  # tags in an old code page are no reason to refuse the sound
        )
    except FFmpegError as error:
        raise_if_memory(error)
        is_media = encoding is not None or has_header(head) or begins_like_media(head)
        reason = "truncated or damaged" if is_media else "not a media file"
        raise UnusableMediaError(path, reason, str(error)) from error
    with container:
        _check_container(path, container, max_duration_s)
        try:
            yield container
        except FFmpegError as error:  # decoded, but into something that cannot be converted
            raise_if_memory(error)
            raise UnusableMediaError(path, "truncated or damaged", str(error)) from error


def _as_options(encoding: SoundEncoding | None) -> dict[str, str]:
    """Return what FFmpeg needs to read headerless audio, besides the format."""
    return {"sample_rate": str(encoding.rate_hz), "ch_layout": "mono"} if encoding else {}


def _read_head(path: Path) -> bytes:
    try:
        if not path.exists():
            raise UnusableMediaError(path, "no such file")
        if not path.is_file():
            raise UnusableMediaError(path, "not a file")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except PermissionError as error:
        raise UnusableMediaError(path, "no permission", str(error)) from error
    except OSError as error:
        raise UnusableMediaError(path, "unreadable", str(error)) from error
    if not head:
        raise UnusableMediaError(path, "empty file")
    return head


def _check_container(path: Path, container: InputContainer, max_duration_s: float) -> None:
    if container.format.name in _NOT_RECORDINGS:
        raise UnusableMediaError(path, "not a media file", f"format {container.format.name}")
    if not container.streams.audio and not container.streams.video:
        raise UnusableMediaError(path, "not a media file", "neither sound nor pictures in it")
    declared_s = (container.duration or 0) / av.time_base
    if _may_jump_ahead(container):
        return  # its header declares nothing; FFmpeg takes the last time stamp for the length
    if declared_s > max_duration_s:
        raise too_long(path, max_duration_s, f"its header says {declared_s:.0f} s")


def _may_jump_ahead(container: InputContainer) -> bool:
    return bool(container.format.flags & _TS_DISCONT)


def too_long(path: Path, max_duration_s: float, detail: str) -> UnusableMediaError:
    """Return the error for a file over the limit."""
    return UnusableMediaError(path, f"longer than {max_duration_s:g} s", detail)


def in_seconds(ticks: int | None, time_base: Fraction | None) -> Fraction | None:
    """A time in FFmpeg's ticks -> exact seconds; None where the file has no time."""
    return None if ticks is None or time_base is None else ticks * time_base


def decode_frames(
    path: Path, container: InputContainer, stream: AudioStream | VideoStream, notes: list[str]
) -> Iterator[AudioFrame | VideoFrame]:
    """One track -> its frames, in the order of presentation.

    A damaged packet is skipped. An unreadable stretch or a missing end closes the track. Each of
    these adds a line to `notes` and to the log.

    Raises:
        UnusableMediaError: nothing at all could be decoded.
    """
    problems: list[str] = []
    end: Fraction | None = None
    num_damaged = 0
    timeline = Timeline(may_jump_ahead=_may_jump_ahead(container))
    for packet in _packets(container, stream, timeline, problems):
        try:
            frames = packet.decode()
        except FFmpegError as error:
            raise_if_memory(error)
            num_damaged += not bytes(packet).startswith(_TAGS)
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame | VideoFrame):
                end = _end_of(frame, end)
                yield frame
    if num_damaged:
        problems.append(f"truncated or damaged: {num_damaged} packets skipped")
    if end is None:
        raise UnusableMediaError(
            path, "truncated or damaged" if problems else "empty track", "; ".join(problems)
        )
    if timeline.joints:
        problems.append(timeline.note)
    elif _hides_recordings(path, container, problems):
        problems = _note_hidden(container, problems)
    else:
        problems += _shortfall(container, stream, end) + _rest(container)
    for problem in problems:
        logger.warning("%s: %s", path, problem)
    notes += problems


def _hides_recordings(path: Path, container: InputContainer, problems: Sequence[str]) -> bool:
    """Return whether further recordings stand behind what was read; FFmpeg reads those of Ogg."""
    is_read_whole = container.format.name == "ogg" and not problems
    return not is_read_whole and has_joined_recording(path)


def _note_hidden(container: InputContainer, problems: list[str]) -> list[str]:
    found = [] if container.format.name == "ogg" else problems  # of Ogg, reading stops at the joint
    return [*found, "recordings not read: those that are joined behind the first"]


def _packets(
    container: InputContainer,
    stream: AudioStream | VideoStream,
    timeline: Timeline,
    notes: list[str],
) -> Iterator["Packet[Stream]"]:
    tracks = [*container.streams.audio, *container.streams.video]  # all, to see all clocks jump
    try:
        for packet in place_packets(container.demux(tracks), timeline):
            if packet.stream.index == stream.index:
                yield packet
    except FFmpegError as error:
        raise_if_memory(error)
        notes.append(f"truncated or damaged: reading stopped with {error}")
    except IndexError:
        # PyAV 18 fails at the very end if a track turned up midway; by then it has yielded all
        # packets of the tracks known from the start.
        notes.append("tracks not read: those that begin midway")


def _end_of(frame: AudioFrame | VideoFrame, before: Fraction | None) -> Fraction:
    start = in_seconds(frame.pts, frame.time_base)
    length = in_seconds(frame.duration, frame.time_base) or Fraction(0)
    return (before or Fraction(0)) if start is None else start + length


def _shortfall(
    container: InputContainer, stream: AudioStream | VideoStream, end: Fraction
) -> list[str]:
    start = in_seconds(stream.start_time, stream.time_base) or Fraction(0)
    length = in_seconds(stream.duration, stream.time_base)
    if length is None or container.format.name in _GUESSED_DURATION:
        return []
    declared = start + length
    if declared - end <= _MAX_SHORTFALL_S:
        return []
    return [f"truncated or damaged: ends at {float(end):.2f} of {float(declared):.2f} s"]


def _rest(container: InputContainer) -> list[str]:
    """Report headerless audio that breaks off inside a sample, which FFmpeg ignores."""
    num_bytes = container.size % _SAMPLE_BYTES.get(container.format.name, 1)
    return [f"truncated or damaged: {num_bytes} bytes after the last sample"] if num_bytes else []
