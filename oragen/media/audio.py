"""One media file -> its audio as int16 mono at 16 kHz."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from jaxtyping import Int16

from oragen.media.container import (
    EncodingError,
    SoundEncoding,
    UnusableMediaError,
    decode_frames,
    find_audio_stream,
    in_seconds,
    open_media,
    parse_encoding,
    start_of,
    too_long,
)
from oragen.media.samples import to_int16
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Made

# A longer hole in the time stamps becomes silence; a shorter one is rounding by the file format.
_MAX_JITTER_S: Final = Fraction(1, 10)

Samples = Int16[np.ndarray, " samples"]


def decode_clip(path: Path, *, max_duration_s: float, encoding: str | None = None) -> Made:
    """Decode a clip's audio for a store, or give the reason why there is none.

    Args:
        path: of the file.
        max_duration_s: longer clips are refused.
        encoding: of headerless audio, e.g. `s16le@8000`.
    """
    notes: list[str] = []
    try:
        samples = decode_audio(
            path,
            max_duration_s=max_duration_s,
            encoding=parse_encoding(encoding) if encoding is not None else None,
            notes=notes,
        )
    except EncodingError as error:
        return Made(np.zeros(0, np.int16), "unknown sound encoding", {"notes": [str(error)]})
    except UnusableMediaError as error:
        return Made(np.zeros(0, np.int16), error.reason, {"notes": [error.detail]})
    return Made(samples, None, {"notes": notes})


def decode_audio(
    path: Path,
    *,
    max_duration_s: float,
    encoding: SoundEncoding | None = None,
    notes: list[str] | None = None,
) -> Samples:
    """One media file -> its audio, the mean over the channels, at 16 kHz.

    Sample 0 is the start of the file, be it sound or a picture. Sound that begins later is preceded
    by silence, and a hole in the sound is filled with silence. So sound and pictures stay in step.
    A file that breaks off or is damaged midway is decoded as far as possible; each problem adds a
    line to `notes`. Headerless audio needs its `encoding`.

    Raises:
        UnusableMediaError: no media file, no audio track, nothing decodable, or longer than
            `max_duration_s`.
    """
    notes = [] if notes is None else notes
    chunks: list[Samples] = []
    num_samples = 0
    with open_media(path, max_duration_s=max_duration_s, encoding=encoding) as container:
        stream = find_audio_stream(path, container)
        frames = decode_frames(path, container, stream, notes)
        audio = (frame for frame in frames if isinstance(frame, AudioFrame) and frame.samples)
        for start, chunk in _resample(audio, start_of(container)):
            num_missing = 0 if start is None else max(0, start - num_samples)
            num_samples += num_missing + len(chunk)
            if num_samples > max_duration_s * SAMPLE_RATE_HZ:
                raise too_long(path, max_duration_s, "its sound goes on after that")
            chunks += [np.zeros(num_missing, np.int16), chunk]
    if num_samples == 0:
        raise UnusableMediaError(path, "empty track")
    return np.concatenate(chunks)


def _resample(
    frames: Iterable[AudioFrame], origin: Fraction
) -> Iterator[tuple[int | None, Samples]]:
    """Yield chunks of samples; the first after a hole comes with the sample it starts at."""
    run: _Run | None = None
    for frame in frames:
        if run is None or not run.is_continued_by(frame):
            if run is not None:
                yield None, run.convert(None)
            run = _Run(frame)
            yield run.start_sample(origin), np.zeros(0, np.int16)
        yield None, run.convert(frame)
    if run is not None:
        yield None, run.convert(None)


class _Run:
    """Audio frames of one format that follow each other without a hole."""

    def __init__(self, first: AudioFrame) -> None:
        self.kind = _kind_of(first)
        self.start = in_seconds(first.pts, first.time_base)
        self.num_read = 0
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

    def convert(self, frame: AudioFrame | None) -> Samples:
        """One frame, or None for what the resampler still holds -> mono samples."""
        self.num_read += frame.samples if frame is not None else 0
        parts = self.resampler.resample(frame)
        # packed: 1, samples * channels -> samples, channels -> samples
        mono = [part.to_ndarray().reshape(part.samples, -1).mean(axis=1) for part in parts]
        return to_int16(np.nan_to_num(np.concatenate([*mono, np.zeros(0, np.float32)])))


def _kind_of(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
