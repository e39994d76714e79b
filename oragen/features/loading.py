"""The table of a dataset -> its windows, with features that are found and read."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from rich.filesize import decimal

from oragen.features.dataset import WindowDataset
from oragen.features.rows import NONE, FeatureRows, locate_features, no_rows
from oragen.features.streaming import Source, read_parts
from oragen.schema.errors import UserError
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import (
    LEVELS_OF_VIEWS,
    MASK_TYPES,
    Json,
    Level,
    Modality,
    encode_labels,
)

logger = logging.getLogger(__name__)

_Name: TypeAlias = tuple[str, str]  # a store and the key of a feature in it


class EmptyDatasetError(UserError):
    """There are no features to train on or to evaluate."""


def load_dataset(
    table: pd.DataFrame,
    *,
    level: Level,
    genders: Sequence[str],
    memory_bytes: int,
    specs: Mapping[Modality, Mapping[str, Json]] | None = None,
) -> WindowDataset:
    """Find the features of a dataset table's windows; read them if they fit into memory.

    A corpus may have no sound at all, or no faces.

    Args:
        table: from `read_dataset`.
        level: of the features.
        genders: the labels in order.
        memory_bytes: features that need more than this are streamed, in an order that is random
            only within some parts at a time.
        specs: of the features that a head was trained on, by modality. A modality without one is
            ignored; its rows have no features. None: both modalities are loaded.

    Raises:
        EmptyDatasetError: when no window has a feature of this level.
        MissingFeaturesError: when a feature that the table names is not there.
    """
    windows = table[table["has_window"]].reset_index(drop=True)
    sounds, slots = _name_sounds(windows, level), _name_slots(windows, level)
    if specs is not None and "audio" not in specs:
        sounds = [None] * len(sounds)
    if specs is not None and "face" not in specs:
        slots = [[None] * len(names) for names in slots]
    spec_of = specs or {}
    audio, audio_row_of = _locate_sounds(windows, sounds, level, spec_of.get("audio"))
    face, face_row_of = _locate([name for names in slots for name in names], spec_of.get("face"))
    if not len(audio) and not len(face):
        raise EmptyDatasetError(
            f"No window has speech or a face with features of level {level}: see data/skipped for "
            "the reasons."
        )
    dataset = WindowDataset(
        table=windows,
        audio=Source(audio, audio_row_of),
        face=Source(face, np.array([[face_row_of[name] for name in names] for names in slots])),
        gender=torch.from_numpy(encode_labels(windows["gender"], genders)),
        age_years=torch.tensor(windows["age_years"].to_numpy(np.float32, na_value=np.nan)),
        mask_type=torch.from_numpy(encode_labels(windows["mask_type"], MASK_TYPES)),
        in_memory=None,
        memory_bytes=memory_bytes,
    )
    if (num_bytes := audio.num_bytes + face.num_bytes) > memory_bytes:
        logger.info("features of %s are streamed", decimal(num_bytes))
        return dataset
    return replace(dataset, in_memory=read_parts(dataset.sources, dataset.part_names))


def read_dataset(path: Path, splits: Sequence[str]) -> pd.DataFrame:
    """Read the rows of some splits.

    Raises:
        EmptyDatasetError: when there are none.
    """
    table = DATASET.read(path)
    chosen = table[table["split"].isin(splits)].reset_index(drop=True)
    if not chosen["has_window"].any():
        raise EmptyDatasetError(
            f"{path} has no window in {' or '.join(splits)} ({len(chosen)} clips). Check the "
            "`split` column of the corpora, and data/skipped for what was skipped."
        )
    return chosen


def keep_usable(
    table: pd.DataFrame, *, level: Level, modalities: Collection[Modality]
) -> pd.DataFrame:
    """Keep the windows with a feature of one of these modalities at this level."""
    windows = table[table["has_window"]]
    has_feature = {
        "audio": [name is not None for name in _name_sounds(windows, level)],
        "face": [any(names) for names in _name_slots(windows, level)],
    }
    return windows[np.any([has_feature[modality] for modality in modalities], axis=0)]


def _name_sounds(windows: pd.DataFrame, level: Level) -> list[_Name | None]:
    keys = windows[f"audio_{level}"]
    names = zip(windows["audio_store"], keys, keys.notna(), strict=True)
    return [(store, key) if is_known else None for store, key, is_known in names]


def _name_slots(windows: pd.DataFrame, level: Level) -> list[list[_Name | None]]:
    names = zip(windows["face_store"], windows[f"face_{level}"], strict=True)
    return [[None if key is None else (store, key) for key in keys] for store, keys in names]


def _locate_sounds(
    windows: pd.DataFrame,
    sounds: Sequence[_Name | None],
    level: Level,
    spec: Mapping[str, Json] | None,
) -> tuple[FeatureRows, Int64[np.ndarray, " windows"]]:
    """Find the features of windows: rows of their own, or views into stretches."""
    next_sounds = _name_next_sounds(windows, sounds, level)
    located, row_of = _locate([*sounds, *next_sounds], spec)
    rows, next_rows = (
        np.array([row_of[name] for name in names], np.int64) for names in (sounds, next_sounds)
    )
    if "stretch" not in located.spec:
        return located, rows
    viewed = np.flatnonzero(rows != NONE)
    first, num_positions = (
        windows[name].to_numpy(np.float64, na_value=-1)[viewed].astype(np.int64)
        for name in ("audio_first", "audio_num_positions")
    )
    views = located.view(rows[viewed], next_rows[viewed], first, num_positions)
    rows[viewed] = np.arange(len(viewed))
    return views, rows


def _name_next_sounds(
    windows: pd.DataFrame, sounds: Sequence[_Name | None], level: Level
) -> list[_Name | None]:
    if level not in LEVELS_OF_VIEWS:
        return [None] * len(windows)
    keys = windows[f"audio_next_{level}"]
    names = zip(sounds, keys, keys.notna(), strict=True)
    return [(sound[0], key) if sound and goes_on else None for sound, key, goes_on in names]


def _locate(
    names: Sequence[_Name | None], spec: Mapping[str, Json] | None
) -> tuple[FeatureRows, dict[_Name | None, int]]:
    """Find the rows of all names, each once; return also the row of each name, NONE for None.

    Without any name, the size of a row is that of the spec.
    """
    keys: dict[str, dict[str, None]] = {}
    for store, key in filter(None, names):
        keys.setdefault(store, {})[key] = None
    if not keys:
        return no_rows(spec), {None: NONE}
    in_order = [(store, key) for store, members in keys.items() for key in members]
    rows: dict[_Name | None, int] = {name: row for row, name in enumerate(in_order)}
    located = locate_features({store: list(members) for store, members in keys.items()})
    return located, rows | {None: NONE}
