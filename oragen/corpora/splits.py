"""A speaker -> a split, the same on every machine and whatever other speakers there are."""

import hashlib

TRAIN_SHARE = 0.7
DEV_SHARE = 0.15
TRAIN_OR_DEV = "train or dev"  # the split of a record whose corpus has a test split, but no dev


def assign_split(speaker: str) -> str:
    """Return train (70 %), dev (15 %) or test (15 %) by a stable hash of the speaker's name."""
    digest = hashlib.sha256(speaker.encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < TRAIN_SHARE:
        return "train"
    return "dev" if position < TRAIN_SHARE + DEV_SHARE else "test"
