"""The table of a dataset -> its windows, with features that are found and read."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

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
        sounds = _no_names(len(sounds))
    if specs is not None and "face" not in specs:
        slots = _no_names(len(slots))
    spec_of = specs or {}
    audio, audio_row_of = _locate_sounds(windows, sounds, level, spec_of.get("audio"))
    face, face_row_of = _locate(slots, level, spec_of.get("face"))
    if not len(audio) and not len(face):
        raise EmptyDatasetError(
            f"No window has speech or a face with features of level {level}: see data/skipped for "
            "the reasons."
        )
    dataset = WindowDataset(
        table=windows,
        audio=Source(audio, audio_row_of),
        face=Source(face, face_row_of.reshape(len(windows), -1)),
        gender=_encode(windows["gender"], genders),
        age_years=torch.tensor(windows["age_years"].to_numpy(np.float32, na_value=np.nan)),
        mask_type=_encode(windows["mask_type"], MASK_TYPES),
        in_memory=None,
        memory_bytes=memory_bytes,
    )
    if (num_bytes := audio.num_bytes + face.num_bytes) > memory_bytes:
        logger.info("features of %s are streamed", decimal(num_bytes))
        return dataset
    return replace(dataset, in_memory=read_parts(dataset.sources, dataset.part_names))


def _encode(labels: pd.Series, vocabulary: Sequence[str]) -> Int64[torch.Tensor, " windows"]:
    """Encode each label that there is once, see `encode_labels`."""
    numbers, distinct = pd.factorize(labels, use_na_sentinel=False)
    return torch.from_numpy(encode_labels(pd.Series(distinct), vocabulary)[numbers])


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
    has_face = [any(key is not None for key in keys) for keys in windows[f"face_{level}"]]
    has_feature = {"audio": windows[f"audio_{level}"].notna().to_numpy(), "face": has_face}
    return windows[np.any([has_feature[modality] for modality in modalities], axis=0)]


def _name(stores: pd.Series, keys: pd.Series) -> pd.DataFrame:
    """Return a row for each feature: its store and its key there, or none of both."""
    named = pd.DataFrame({"store": stores.to_numpy(), "key": keys.to_numpy()}, dtype="str")
    return named.where(named["key"].notna())


def _name_sounds(windows: pd.DataFrame, level: Level) -> pd.DataFrame:
    return _name(windows["audio_store"], windows[f"audio_{level}"])


def _name_slots(windows: pd.DataFrame, level: Level) -> pd.DataFrame:
    """Return the slots of all windows, window after window."""
    slots = windows[f"face_{level}"].to_numpy()
    keys = np.concatenate(slots) if len(slots) else slots
    num_slots = len(keys) // max(1, len(slots))
    return _name(windows["face_store"].repeat(num_slots), pd.Series(keys, dtype="str"))


def _locate_sounds(
    windows: pd.DataFrame,
    sounds: pd.DataFrame,
    level: Level,
    spec: Mapping[str, Json] | None,
) -> tuple[FeatureRows, Int64[np.ndarray, " windows"]]:
    """Find the features of windows: rows of their own, or views into stretches."""
    names = pd.concat([sounds, _name_next_sounds(windows, sounds, level)])
    located, row_of = _locate(names, level, spec)
    rows, next_rows = row_of[: len(windows)], row_of[len(windows) :]
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


def _name_next_sounds(windows: pd.DataFrame, sounds: pd.DataFrame, level: Level) -> pd.DataFrame:
    if level not in LEVELS_OF_VIEWS:
        return _no_names(len(windows))
    return _name(sounds["store"], windows[f"audio_next_{level}"])


def _no_names(count: int) -> pd.DataFrame:
    return pd.DataFrame({"store": None, "key": None}, index=range(count), dtype="str")


def _locate(
    names: pd.DataFrame, level: Level, spec: Mapping[str, Json] | None
) -> tuple[FeatureRows, Int64[np.ndarray, " names"]]:
    """Find the rows of all names, each once; return also the row of each name, NONE for no name.

    Without any name, the size of a row is that of the spec.
    """
    row_of = np.full(len(names), NONE, np.int64)
    store_of, stores = pd.factorize(names["store"])
    keys: dict[str, pd.Series] = {}
    for number, store in enumerate(stores):
        here = np.flatnonzero(store_of == number)
        numbers, distinct = pd.factorize(names["key"].iloc[here])
        row_of[here] = sum(map(len, keys.values())) + numbers
        keys[str(store)] = pd.Series(distinct)
    return (locate_features(keys, level) if keys else no_rows(spec)), row_of
