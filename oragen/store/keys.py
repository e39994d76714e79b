"""A clip, a window or a crop and how it is made -> its key, made from that of what it is of.

So a changed parameter changes the keys of all that follows from it, and of nothing else.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Final

import pandas as pd

from oragen.schema.vocabulary import Json, Span
from oragen.store.hashing import make_key

# What decides where a face is found, and nothing where its box is given.
_DETECTION: Final = frozenset({"detector", "min_score", "max_gap"})


def audio_key(media_hash: str, audio: Mapping[str, Json], encoding: str | None = None) -> str:
    """Return the key of a clip's sound: the file's bytes and how they are decoded."""
    stated: dict[str, Json] = {} if encoding is None else {"encoding": encoding}
    return make_key(made="audio", media=media_hash, params=dict(audio), **stated)


def audio_keys(clips: pd.DataFrame, audio: Mapping[str, Json]) -> dict[str, str]:
    """Clips table -> the key of the sound of each clip that has any."""
    audible = clips[clips["audio_hash"].notna()]
    columns = zip(audible["clip_id"], audible["audio_hash"], audible["audio_encoding"], strict=True)
    return {
        clip: audio_key(digest, audio, None if pd.isna(encoding) else encoding)
        for clip, digest, encoding in columns
    }


def speech_key(sound: str, speech: Mapping[str, Json]) -> str:
    """Return the key of a clip's speech spans; Silero's weights come with its package."""
    return make_key(made="speech", audio=sound, params=dict(speech), silero_vad=_silero_version())


@cache
def _silero_version() -> str:
    """Look it up once: that takes longer than all the rest of a key."""
    return version("silero-vad")


def window_key(speech: str, windows: Mapping[str, Json], span: Span) -> str:
    """Return the key of the sound in one window."""
    return make_key(made="window", speech=speech, params=dict(windows), span=list(span))


def stretch_key(audio: str, frames: Span, sound: Span) -> str:
    """Return the key of frames of a clip, encoded together from a stretch of its sound."""
    return make_key(made="stretch", audio=audio, frames=list(frames), sound=list(sound))


def faces_key(
    media_hash: str,
    faces: Mapping[str, Json],
    detector: str,
    face_box: Sequence[float] | None = None,
) -> str:
    """Return the key of a clip's crops; `detector` tells one set of weights from another.

    With a given box nothing is detected, and how that would be done does not count.
    """
    if face_box is None:
        return make_key(made="faces", media=media_hash, params=dict(faces), detector=detector)
    cutting = {name: value for name, value in faces.items() if name not in _DETECTION}
    return make_key(made="faces", media=media_hash, params=cutting, box=list(face_box))


def failure_key(key: str, circumstances: Mapping[str, Json]) -> str:
    """Return the key of the fact that a value could not be made with these limits and versions."""
    return make_key(made="failure", of=key, circumstances=dict(circumstances))


def crop_key(faces: str, sample: int) -> str:
    """Return the key of one crop."""
    return make_key(made="crop", faces=faces, sample=sample)
