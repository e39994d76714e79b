"""Everything a value depends on -> its key, each stage's made from the one before.

So a changed parameter changes the keys of all that follows from it, and of nothing else.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

from oragen.parts import Json, make_key
from oragen.schema import Span


def audio_key(media_hash: str, audio: Mapping[str, Json]) -> str:
    """Return the key of a clip's sound: the file's bytes and how they are decoded."""
    return make_key(made="audio", media=media_hash, params=dict(audio))


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


def faces_key(media_hash: str, faces: Mapping[str, Json], detector: str) -> str:
    """Return the key of a clip's crops; `detector` tells one set of weights from another."""
    return make_key(made="faces", media=media_hash, params=dict(faces), detector=detector)


def crop_key(faces: str, sample: int) -> str:
    """Return the key of one crop."""
    return make_key(made="crop", faces=faces, sample=sample)
