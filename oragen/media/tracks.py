"""The tracks of a container -> those to use, in the order in which they are tried."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from oragen.media.container import in_seconds
from oragen.media.errors import UnusableMediaError

Track = TypeVar("Track", AudioStream, VideoStream)

# Not the speaking person: what others say of the pictures, or the sounds without the speech.
_BESIDE_SPEECH = (
    Disposition.comment | Disposition.visual_impaired | Disposition.karaoke
    | Disposition.clean_effects
)  # fmt: skip


def rank_audio_tracks(path: Path, container: InputContainer) -> list[AudioStream]:
    """Return the decodable audio tracks: the one that a player would choose, then the others.

    Comments and descriptions come last.

    Raises:
        UnusableMediaError: there is none.
    """
    tracks = container.streams.audio
    if not tracks:
        raise UnusableMediaError(path, "no audio track")
    best = container.streams.best("audio")
    ranked = sorted(tracks, key=lambda track: (_is_beside_speech(track), track is not best))
    return _decodable(path, ranked)


def rank_video_tracks(path: Path, container: InputContainer) -> list[VideoStream]:
    """Return the decodable video tracks, the one that a player would choose first; never a cover.

    Raises:
        UnusableMediaError: there is none.
    """
    tracks = [track for track in container.streams.video if not _is_cover(track)]
    if not tracks:
        raise UnusableMediaError(path, "no video track")
    best = container.streams.best("video")
    return _decodable(path, sorted(tracks, key=lambda track: track is not best))


def note_use(track: Track, tracks: Sequence[Track]) -> list[str]:
    """Note which of several tracks was used, if it is not the first one of the file."""
    number = [one.index for one in tracks].index(track.index) + 1
    return [f"{track.type} track {number} of {len(tracks)} was used"] if number > 1 else []


def find_noted_use(notes: Iterable[str], tracks: Sequence[Track], default: Track) -> Track:
    """Return the track that notes of `note_use` name."""
    by_note = {note: track for track in tracks for note in note_use(track, tracks)}
    return next((by_note[note] for note in notes if note in by_note), default)


def _is_beside_speech(track: AudioStream) -> bool:
    return bool(track.disposition & _BESIDE_SPEECH)


def _is_cover(track: VideoStream) -> bool:
    return bool(track.disposition & Disposition.attached_pic)


def _decodable(path: Path, tracks: list[Track]) -> list[Track]:
    known = [track for track in tracks if track.codec_context is not None]
    if not known:
        raise UnusableMediaError(path, "unknown codec", f"{tracks[0].type} track {tracks[0].index}")
    return known


def start_of(container: InputContainer) -> Fraction:
    """Return time zero of a file in seconds: its first sound or picture, so both stay in step."""
    tracks = [*container.streams.audio, *(s for s in container.streams.video if not _is_cover(s))]
    starts = [in_seconds(track.start_time, track.time_base) for track in tracks]
    return min((start for start in starts if start is not None), default=Fraction(0))
