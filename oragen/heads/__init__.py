"""Cached features of a window -> gender, age and mask type: the networks that are trained."""

from oragen.heads.build import build_head, train_only_decisions
from oragen.heads.contract import Head, HeadName, HeadOutput, HeadSizes, HeadSpec
from oragen.heads.mtcma import MtcmaHead, SharedTrunkHead
from oragen.heads.published import from_published_state_dict, load_published_head
from oragen.heads.storage import SavedHead, load_head, save_head

__all__ = [
    "Head",
    "HeadName",
    "HeadOutput",
    "HeadSizes",
    "HeadSpec",
    "MtcmaHead",
    "SavedHead",
    "SharedTrunkHead",
    "build_head",
    "from_published_state_dict",
    "load_head",
    "load_published_head",
    "save_head",
    "train_only_decisions",
]
