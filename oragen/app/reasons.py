"""Why a voice or a face could not be used, in words -> its kind, for counting.

Reasons may hold numbers and what a library says, so there is no end of them. Kinds are few.
"""

from typing import Final

OTHER: Final = "other"
# What is no failure: the reader asked for it, or the model is made so.
NO_FAILURES: Final = ("not asked for", "the model does not use")
KINDS: Final = (
    "no such file", "not a file", "no permission", "unreadable", "empty file", "not a media file",
    "truncated or damaged", "unknown codec", "no audio track", "no video track", "empty track",
    "not a picture", "picture too large", "implausible sample rate", "too many channels",
    "longer than", "no speech", "no face", "the model's output for it is not finite",
    "decoding was given up", "decoding was killed", "decoding crashed", "decoding failed",
    "decoding needs more than", "decoding took more than", "decoding found too little memory",
    "decoding could not be started",
)  # fmt: skip


def find_kind(reason: str) -> str | None:
    """Return the kind of a reason; None if it is no failure."""
    if reason.startswith(NO_FAILURES):
        return None
    if reason.startswith("no ") and reason.endswith("of speech without a pause"):
        return "too little speech"
    return next((kind for kind in KINDS if reason.startswith(kind)), OTHER)
