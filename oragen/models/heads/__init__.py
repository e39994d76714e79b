"""Cached features of a window -> gender, age and mask type: the networks trained on the cache."""

from oragen.models.heads.build import build_head, train_only_output_layers
from oragen.models.heads.contract import Head, HeadSizes, HeadSpec
from oragen.models.heads.frozen_probe import FrozenProbeHead
from oragen.models.heads.mtcma import MtcmaHead, SharedTrunkHead
from oragen.models.heads.published import load_published_head
from oragen.models.heads.published_names import PUBLISHED_HEADS, PublishedLevel
from oragen.models.heads.storage import SavedHead, load_head, save_head

__all__ = [
    "PUBLISHED_HEADS",
    "FrozenProbeHead",
    "Head",
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
    "train_only_output_layers",
]
