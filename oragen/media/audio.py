"""One media file -> its audio as int16 mono at 16 kHz."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from oragen.media.container import (
    EncodingError,
    SoundEncoding,
    decode_frames,
    in_seconds,
    open_media,
    parse_encoding,
    too_long,
)
from oragen.media.downmix import MIN_VOICE_RANGE_DB, Channels, Downmix
from oragen.media.errors import UnusableMediaError
from oragen.media.limits import MAX_TRACKS, check_sound
from oragen.media.samples import Samples, to_int16
from oragen.media.tracks import note_use, rank_audio_tracks, start_of
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Made

# A longer hole in the time stamps becomes silence; a shorter one is rounding by the file format.
_MAX_JITTER_S: Final = Fraction(1, 10)


def decode_clip(
    path: Path, *, max_duration_s: float, encoding: str | None = None, as_floats: bool = False
) -> Made:
    """Decode a clip's audio for a store, or give the reason why there is none.

    Args:
        path: of the file.
        max_duration_s: longer clips are refused.
        encoding: of headerless audio, e.g. `s16le@8000`.
        as_floats: give float32 in -1..1, not rounded to int16.
    """
    notes: list[str] = []
    try:
        samples = decode_audio(
            path,
            max_duration_s=max_duration_s,
            encoding=parse_encoding(encoding) if encoding is not None else None,
            notes=notes,
            as_floats=as_floats,
        )
    except EncodingError as error:
        return Made(np.zeros(0, np.int16), "unknown sound encoding", {"notes": [str(error)]})
    except UnusableMediaError as error:
        return Made(np.zeros(0, np.int16), error.reason, {"notes": error.notes})
    return Made(samples, None, {"notes": notes})


def decode_audio(
    path: Path,
    *,
    max_duration_s: float,
    encoding: SoundEncoding | None = None,
    notes: list[str] | None = None,
    as_floats: bool = False,
) -> Samples:
    """One media file -> its audio, the mean over the channels, at 16 kHz: int16, or float32.

    Sample 0 is the start of the file, be it sound or a picture. Sound that begins later is preceded
    by silence, and a hole in the sound is filled with silence. So sound and pictures stay in step.
    A file that breaks off or is damaged midway is decoded as far as possible; each problem adds a
    line to `notes`. Headerless audio needs its `encoding`.

    Where the mean loses the clearest channel, that channel is used: see `oragen.media.downmix`. Of
    several tracks, the one that a player would choose is used, unless it is silent, steady noise or
    cannot be decoded, and another has a voice. `notes` says so.

    Raises:
        UnusableMediaError: no media file, no audio track, nothing decodable, or longer than
            `max_duration_s`.
    """
    source = _Source(path, max_duration_s, encoding, as_floats)
    with source.open() as container:
        candidates = {
            track.index: note_use(track, container.streams.audio)
            for track in rank_audio_tracks(path, container)[:MAX_TRACKS]
        }
    decoded = _decode_best(source, list(candidates))
    if notes is not None:
        notes += [*decoded.notes, *candidates[decoded.track]]
    return decoded.samples


class _Source(NamedTuple):
    """A file to decode, perhaps more than once."""

    path: Path
    max_duration_s: float
    encoding: SoundEncoding | None
    as_floats: bool

    def open(self) -> AbstractContextManager[InputContainer]:
        return open_media(self.path, max_duration_s=self.max_duration_s, encoding=self.encoding)


class _Decoded(NamedTuple):
    """A track as mono samples, and how far its level falls within a second."""

    track: int
    samples: Samples
    notes: list[str]
    range_db: float


def _decode_best(source: _Source, tracks: list[int]) -> _Decoded:
    """Decode the first track with a voice, or the first that can be decoded if none has one."""
    first: _Decoded | None = None
    problem: UnusableMediaError | None = None
    for track in tracks:
        try:
            decoded = _decode_track(source, track, are_more=len(tracks) > 1)
        except UnusableMediaError as error:
            problem = problem or error
            continue
        if len(tracks) == 1 or decoded.range_db >= MIN_VOICE_RANGE_DB:
            return decoded
        first = first or decoded
    if first is None:
        assert problem is not None
        raise problem
    return first


def _decode_track(source: _Source, track: int, *, are_more: bool) -> _Decoded:
    """Decode a track by the mean of its channels, and again by one of them if that loses it."""
    mixer = Downmix(is_measured=are_more)
    notes: list[str] = []
    samples = _decode(source, track, mixer, notes)
    if choices := mixer.choose():
        del samples  # hours of them, and they come again
        mixer = Downmix(choices, is_measured=are_more)
        notes = [choice.note for choice in choices.values()]
        samples = _decode(source, track, mixer, notes)
    return _Decoded(track, samples, notes, mixer.range_db())


def _decode(source: _Source, track: int, mixer: Downmix, notes: list[str]) -> Samples:
    path, max_duration_s = source.path, source.max_duration_s
    chunks: list[Samples] = []
    num_samples = 0
    with source.open() as container:
        stream = container.streams[track]
        assert isinstance(stream, AudioStream)
        frames = decode_frames(path, container, stream, notes)
        audio = (
            check_sound(path, frame)
            for frame in frames
            if isinstance(frame, AudioFrame) and frame.samples
        )
        for start, channels in _resample(audio, start_of(container)):
            num_missing = 0 if start is None else max(0, start - num_samples)
            num_samples += num_missing + len(channels)
            if num_samples > max_duration_s * SAMPLE_RATE_HZ:
                raise too_long(path, max_duration_s, "its sound goes on after that")
            mixed = mixer.mix(channels)
            samples = mixed.astype(np.float32) if source.as_floats else to_int16(mixed)
            chunks += [np.zeros(num_missing, samples.dtype), samples]
    if num_samples == 0:
        raise UnusableMediaError(path, "empty track")
    return np.concatenate(chunks)


def _resample(
    frames: Iterable[AudioFrame], origin: Fraction
) -> Iterator[tuple[int | None, Channels]]:
    """Yield blocks of channels; the first after a hole comes with the sample it starts at.

    A block is about a second: mixing a hundred frames of 10 ms takes ten times as long.
    """
    run: _Run | None = None
    for frame in frames:
        if run is None or not run.is_continued_by(frame):
            if run is not None:
                yield None, run.end()
            run = _Run(frame)
            yield run.start_sample(origin), run.no_channels()
        run.add(frame)
        if run.num_held >= SAMPLE_RATE_HZ:
            yield None, run.take()
    if run is not None:
        yield None, run.end()


class _Run:
    """Audio frames of one format that follow each other without a hole."""

    def __init__(self, first: AudioFrame) -> None:
        self.kind = _kind_of(first)
        self.num_channels = first.layout.nb_channels
        self.start = in_seconds(first.pts, first.time_base)
        self.num_read = 0
        self.num_held = 0  # samples at 16 kHz that nobody has taken
        self._held: list[Channels] = []
        # Packed samples: PyAV 18 crashes on reading more than eight planes. The channels stay.
        self.resampler = AudioResampler(format="flt", rate=SAMPLE_RATE_HZ)

    def start_sample(self, origin: Fraction) -> int | None:
        return None if self.start is None else round((self.start - origin) * SAMPLE_RATE_HZ)

    def is_continued_by(self, frame: AudioFrame) -> bool:
        return _kind_of(frame) == self.kind and not self._leaves_hole(frame)

    def _leaves_hole(self, frame: AudioFrame) -> bool:
        start, time = self.start, in_seconds(frame.pts, frame.time_base)
        if start is None or time is None:
            return False
        return time - start - Fraction(self.num_read, frame.sample_rate) > _MAX_JITTER_S

    def no_channels(self) -> Channels:
        return np.zeros((0, self.num_channels), np.float32)

    def add(self, frame: AudioFrame | None) -> None:
        """Bring a frame to 16 kHz and hold it; None is for what the resampler still holds."""
        self.num_read += frame.samples if frame is not None else 0
        parts = self.resampler.resample(frame)
        # packed: 1, samples * channels -> samples, channels
        self._held += [part.to_ndarray().reshape(part.samples, -1) for part in parts]
        self.num_held += sum(part.samples for part in parts)

    def take(self) -> Channels:
        """Give away what is held."""
        channels = np.concatenate([self.no_channels(), *self._held])
        self._held, self.num_held = [], 0
        return channels

    def end(self) -> Channels:
        """Give away the rest."""
        self.add(None)
        return self.take()


def _kind_of(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
