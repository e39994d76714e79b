"""Tables and cached features -> batches for a head."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from rich.filesize import decimal
from torch import Tensor

from oragen.features.rows import NONE, FeatureRows, locate_features, no_rows
from oragen.features.streaming import (
    Block,
    PartName,
    Parts,
    Source,
    WindowFeatures,
    choose_from,
    gather,
    plan_blocks,
    read_ahead,
    read_parts,
    stream_windows,
)
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


@dataclass(frozen=True)
class Batch:
    """Features and labels of some windows, on one device."""

    windows: Int64[Tensor, " batch"]  # their rows in the dataset's table; on the CPU
    audio: Float[Tensor, "batch steps audio_width"]
    audio_valid: Bool[Tensor, "batch steps"]
    face: Float[Tensor, "batch slots layers face_width"]
    face_valid: Bool[Tensor, "batch slots"]
    gender: Int64[Tensor, " batch"]  # UNKNOWN_LABEL: no label
    age_years: Float[Tensor, " batch"]  # NaN: no label
    mask_type: Int64[Tensor, " batch"]


@dataclass(frozen=True)
class WindowDataset:
    """Windows with labels, and their features: in memory, or streamed from their parts."""

    table: pd.DataFrame  # the windows, in order
    audio: Source  # a feature row for each window; NONE: no speech
    face: Source  # ... and for each slot of a window; NONE: no crop
    gender: Int64[Tensor, " windows"]
    age_years: Float[Tensor, " windows"]
    mask_type: Int64[Tensor, " windows"]
    in_memory: Parts | None  # all parts; None: they are streamed
    memory_bytes: int  # for streaming

    def __len__(self) -> int:
        return len(self.table)

    def choose(self, windows: Int64[np.ndarray, " chosen"]) -> "WindowDataset":
        """Return some of the windows; features in memory are shared."""
        rows = torch.from_numpy(windows)
        return replace(
            self,
            table=self.table.iloc[windows].reset_index(drop=True),
            audio=replace(self.audio, row_of=self.audio.row_of[windows]),
            face=replace(self.face, row_of=self.face.row_of[windows]),
            gender=self.gender[rows],
            age_years=self.age_years[rows],
            mask_type=self.mask_type[rows],
        )

    @property
    def specs(self) -> dict[Modality, dict[str, Json]]:
        """The spec of the features of each modality that has features."""
        specs = {modality: source.rows.spec for modality, source in self.sources.items()}
        return {modality: spec for modality, spec in specs.items() if "fingerprint" in spec}

    @property
    def sources(self) -> dict[Modality, Source]:
        """The sources of both modalities."""
        return {"audio": self.audio, "face": self.face}

    def batches(
        self,
        batch_size: int,
        device: torch.device,
        *,
        generator: torch.Generator | None = None,
        weights: Float[Tensor, " windows"] | None = None,
    ) -> Iterator[Batch]:
        """Yield all windows once: shuffled by the generator, or in any order without one.

        With weights, the generator draws as many windows as there are, in proportion to the
        weights. Float16 becomes float32 on the device. For a GPU, a thread gathers the next windows
        meanwhile; a CPU needs its cores for the training itself.
        """
        if device.type == "cpu":
            features = self.read(batch_size, generator, weights, torch.float32)
        else:
            read = self.read(batch_size, generator, weights)
            features = read_ahead(map(WindowFeatures.pin, read) if device.type == "cuda" else read)
        for gathered in features:
            yield self.label(gathered, device)

    def read(
        self,
        batch_size: int,
        generator: torch.Generator | None = None,
        weights: Float[Tensor, " windows"] | None = None,
        dtype: torch.dtype = torch.float16,
    ) -> Iterator[WindowFeatures]:
        """Yield the features of the windows, as `batches` does."""
        windows = torch.arange(len(self))
        if weights is not None:
            drawn = torch.multinomial(weights, len(self), replacement=True, generator=generator)
            windows = drawn.sort().values
        if self.in_memory is None:
            return self._stream(windows, batch_size, generator, dtype)
        return self._gather(self.in_memory, windows, batch_size, generator, dtype)

    def _gather(
        self,
        parts: Parts,
        windows: Int64[Tensor, " drawn"],
        batch_size: int,
        generator: torch.Generator | None,
        dtype: torch.dtype,
    ) -> Iterator[WindowFeatures]:
        if generator is not None:
            windows = windows[torch.randperm(len(windows), generator=generator)]
        for chosen in windows.split(batch_size):
            yield gather(self.sources, chosen.numpy(), parts, dtype)

    def _stream(
        self,
        windows: Int64[Tensor, " drawn"],
        batch_size: int,
        generator: torch.Generator | None,
        dtype: torch.dtype,
    ) -> Iterator[WindowFeatures]:
        if generator is not None:  # one of its own, as the thread that reads ahead draws from it
            seed = int(torch.randint(2**62, (), generator=generator))
            generator = torch.Generator().manual_seed(seed)
        return stream_windows(
            self.sources,
            choose_from(self._blocks, windows.numpy()),
            batch_size=batch_size,
            max_bytes=self.memory_bytes,
            generator=generator,
            dtype=dtype,
        )

    @property
    def part_names(self) -> list[PartName]:
        """All parts that hold features of these windows."""
        return [
            PartName(modality, number)
            for modality, source in self.sources.items()
            for number in range(len(source.rows.parts))
        ]

    @cached_property
    def _blocks(self) -> list[Block]:
        return plan_blocks(self.sources)

    def label(self, features: WindowFeatures, device: torch.device) -> Batch:
        """Bring features to the device, and join the labels of their windows."""
        windows = features.windows
        audio_rows = self.audio.row_of[windows.numpy()]  # window
        face_rows = self.face.row_of[windows.numpy()]  # window, slot
        # A row NONE (-1) is the last element: it has 0 steps.
        num_steps = torch.from_numpy(np.append(self.audio.rows.num_steps, 0)[audio_rows])
        positions = torch.arange(self.audio.rows.shape[0])
        return Batch(
            windows=windows,
            audio=features.audio.to(device, non_blocking=True).float(),
            audio_valid=(positions < num_steps[:, None]).to(
                device, non_blocking=True
            ),  # window, step
            face=features.face.to(device, non_blocking=True).float(),
            face_valid=torch.from_numpy(face_rows != NONE).to(device, non_blocking=True),
            gender=self.gender[windows].to(device, non_blocking=True),
            age_years=self.age_years[windows].to(device, non_blocking=True),
            mask_type=self.mask_type[windows].to(device, non_blocking=True),
        )


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
