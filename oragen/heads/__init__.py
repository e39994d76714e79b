"""Cached features of a window -> gender, age and mask type: the networks that are trained."""

from oragen.heads.build import build_head, train_only_decisions
from oragen.heads.contract import Head, HeadName, HeadOutput, HeadSizes, HeadSpec
from oragen.heads.mtcma import MtcmaHead, SharedTrunkHead
from oragen.heads.published import load_published_head
from oragen.heads.published_names import PUBLISHED_HEADS, PublishedLevel
from oragen.heads.storage import SavedHead, load_head, save_head

__all__ = [
    "PUBLISHED_HEADS",
    "Head",
    "HeadName",
    "HeadOutput",
    "HeadSizes",
    "HeadSpec",
    "MtcmaHead",
    "PublishedLevel",
    "SavedHead",
    "SharedTrunkHead",
    "build_head",
    "load_head",
    "load_published_head",
    "save_head",
    "train_only_decisions",
]
