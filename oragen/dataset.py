"""Tables and cached features -> batches for a head."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float16, Int64
from torch import Tensor

from oragen.features import LoadedFeatures, load_features
from oragen.losses import encode_labels
from oragen.parts import Json
from oragen.schema import DATASET, MASK_TYPES, UserError
from oragen.windows import NO_CROP

NO_WINDOW = {"start": -1, "stop": -1, "has_window": False}
_Name: TypeAlias = tuple[str, str]  # a store and the key of a feature in it
LABELLED = ("clip_id", "corpus", "split", "speaker_id", "gender", "age_years", "mask_type")


class EmptyDatasetError(UserError):
    """There is nothing to train on or to evaluate."""


def join_dataset(
    clips: pd.DataFrame,
    windows: pd.DataFrame,
    crops: pd.DataFrame,
    audio_rows: pd.DataFrame,
    face_rows: pd.DataFrame,
) -> pd.DataFrame:
    """One corpus' tables -> a row for each window, and one for each clip without a window.

    A row names the features of its sound and of its slots by their keys, so the table changes
    whenever anything that the features depend on does, and only then.
    """
    audio_of, face_of = _feature_of(audio_rows), _feature_of(face_rows)
    key_of_crop = crops.set_index(["clip_id", "crop"])["key"].to_dict()
    labels = clips[list(LABELLED)].astype(object).where(clips[list(LABELLED)].notna(), None)
    rows = {row["clip_id"]: row for row in labels.to_dict("records")}
    joined = []
    for window in windows.itertuples():
        clip_id = window.clip_id
        heard = audio_of[window.key] if window.has_speech else _Feature(None, None)
        slots = [None if crop == NO_CROP else key_of_crop[clip_id, crop] for crop in window.crops]
        seen = [_Feature(None, None) if key is None else face_of[key] for key in slots]
        joined.append(
            rows[clip_id]
            | {
                "start": window.start,
                "stop": window.stop,
                "has_window": True,
                "audio_store": heard.store,
                "audio_feature": heard.key,
                "face_store": next(filter(None, (feature.store for feature in seen)), None),
                "face_features": [feature.key for feature in seen],
            }
        )
    windowless = clips.loc[~clips["clip_id"].isin(windows["clip_id"]), "clip_id"]
    joined += [rows[clip] | NO_WINDOW for clip in windowless]
    return DATASET.frame(joined)


class _Feature(NamedTuple):
    store: str | None
    key: str | None


def _feature_of(feature_rows: pd.DataFrame) -> dict[str, _Feature]:
    features = map(_Feature, feature_rows["store"], feature_rows["feature_key"])
    return dict(zip(feature_rows["key"], features, strict=True))


@dataclass(frozen=True)
class Batch:
    """Features and labels of some windows, on one device."""

    audio: Float[Tensor, "batch steps audio_width"]
    audio_valid: Bool[Tensor, "batch steps"]
    face: Float[Tensor, "batch slots layers face_width"]
    face_valid: Bool[Tensor, "batch slots"]
    gender: Int64[Tensor, " batch"]  # UNKNOWN_LABEL where there is none
    age_years: Float[Tensor, " batch"]  # NaN where there is no label
    mask_type: Int64[Tensor, " batch"]


@dataclass(frozen=True)
class WindowDataset:
    """Windows with their features in memory, each feature row once, in float16."""

    table: pd.DataFrame  # the windows, in order
    audio: Float16[Tensor, "audio_rows steps audio_width"]
    audio_steps: Int64[Tensor, " audio_rows"]
    audio_row: Int64[Tensor, " windows"]  # NO_CROP where there is no speech
    face: Float16[Tensor, "face_rows layers face_width"]
    face_row: Int64[Tensor, "windows slots"]  # NO_CROP where there is no crop
    gender: Int64[Tensor, " windows"]
    age_years: Float[Tensor, " windows"]
    mask_type: Int64[Tensor, " windows"]
    specs: dict[str, dict[str, Json]]  # what the features of each modality were made with

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, windows: Int64[Tensor, " batch"], device: torch.device) -> Batch:
        """Gather windows; float16 becomes float32 on the device."""
        audio_row, face_row = self.audio_row[windows], self.face_row[windows]
        has_audio = audio_row != NO_CROP
        steps = torch.where(has_audio, self.audio_steps[audio_row.clamp(min=0)], 0)
        positions = torch.arange(self.audio.shape[1])
        return Batch(
            audio=self.audio[audio_row.clamp(min=0)].to(device).float(),
            audio_valid=(positions < steps[:, None]).to(device),
            face=self.face[face_row.clamp(min=0)].to(device).float(),
            face_valid=(face_row != NO_CROP).to(device),
            gender=self.gender[windows].to(device),
            age_years=self.age_years[windows].to(device),
            mask_type=self.mask_type[windows].to(device),
        )

    def batches(
        self,
        batch_size: int,
        device: torch.device,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[Batch]:
        """Yield all windows once: shuffled by the generator, or in order without one."""
        order = torch.arange(len(self))
        if generator is not None:
            order = torch.randperm(len(self), generator=generator)
        for chosen in order.split(batch_size):
            yield self.batch(chosen, device)


def load_dataset(table: pd.DataFrame, *, genders: Sequence[str]) -> WindowDataset:
    """Read the features of a dataset table's windows into memory.

    Raises:
        EmptyDatasetError: when no window has sound, or none has a face.
    """
    windows = table[table["has_window"]].reset_index(drop=True)
    sounds, slots = _name_sounds(windows), _name_slots(windows)
    audio, audio_row_of = _load(sounds, "speech")
    face, face_row_of = _load([name for names in slots for name in names], "a face")
    return WindowDataset(
        table=windows,
        audio=torch.from_numpy(audio.values),
        audio_steps=torch.from_numpy(audio.num_positions),
        audio_row=torch.tensor([audio_row_of[name] for name in sounds]),
        face=torch.from_numpy(face.values),
        face_row=torch.tensor([[face_row_of[name] for name in names] for names in slots]),
        gender=encode_labels(windows["gender"], genders),
        age_years=torch.tensor(windows["age_years"].to_numpy(np.float32, na_value=np.nan)),
        mask_type=encode_labels(windows["mask_type"], MASK_TYPES),
        specs={"audio": audio.spec, "face": face.spec},
    )


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
            "`split` column of the corpora, and data/skipped for what was left out."
        )
    return chosen


def _name_sounds(windows: pd.DataFrame) -> list[_Name | None]:
    known = windows["audio_feature"].notna()
    names = zip(windows["audio_store"], windows["audio_feature"], known, strict=True)
    return [(store, key) if is_known else None for store, key, is_known in names]


def _name_slots(windows: pd.DataFrame) -> list[list[_Name | None]]:
    names = zip(windows["face_store"], windows["face_features"], strict=True)
    return [[None if key is None else (store, key) for key in keys] for store, keys in names]


def _load(
    names: Sequence[_Name | None], what: str
) -> tuple[LoadedFeatures, dict[_Name | None, int]]:
    """Load each feature once; return also the row of each, NO_CROP for none."""
    keys: dict[str, dict[str, None]] = {}
    for store, key in filter(None, names):
        keys.setdefault(store, {})[key] = None
    if not keys:
        raise EmptyDatasetError(f"No window has {what}: see data/skipped for the reasons.")
    in_order = [(store, key) for store, members in keys.items() for key in members]
    rows: dict[_Name | None, int] = {name: row for row, name in enumerate(in_order)}
    features = load_features({store: list(members) for store, members in keys.items()})
    return features, rows | {None: NO_CROP}
