"""Tables and cached features -> batches for a head."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float16, Int64
from torch import Tensor

from oragen.features import LoadedFeatures, load_features
from oragen.parts import Json
from oragen.schema import DATASET, MASK_TYPES, UserError
from oragen.windows import NO_CROP

UNKNOWN = -1
NO_WINDOW = {"start": -1, "stop": -1, "has_window": False}
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
    audio_of = audio_rows.set_index("key")
    face_of = face_rows.set_index("key")
    key_of_crop = crops.set_index(["clip_id", "crop"])["key"].to_dict()
    labels = clips[list(LABELLED)].astype(object).where(clips[list(LABELLED)].notna(), None)
    rows = {row["clip_id"]: row for row in labels.to_dict("records")}
    joined = []
    for window in windows.itertuples():
        slots = [key_of_crop.get((window.clip_id, crop)) for crop in window.crops]
        heard = audio_of.loc[window.key] if window.has_speech else None
        seen = [face_of.loc[key] if key else None for key in slots]
        joined.append(
            rows[window.clip_id]
            | {
                "start": window.start,
                "stop": window.stop,
                "has_window": True,
                "audio_store": None if heard is None else heard["store"],
                "audio_feature": None if heard is None else heard["feature_key"],
                "face_store": next((row["store"] for row in seen if row is not None), None),
                "face_features": [None if row is None else row["feature_key"] for row in seen],
            }
        )
    windowless = set(rows) - set(windows["clip_id"])
    joined += [rows[clip] | NO_WINDOW for clip in windowless]
    return DATASET.frame(joined)


@dataclass(frozen=True)
class Batch:
    """Features and labels of some windows, on one device."""

    audio: Float[Tensor, "batch steps audio_width"]
    audio_valid: Bool[Tensor, "batch steps"]
    face: Float[Tensor, "batch slots layers face_width"]
    face_valid: Bool[Tensor, "batch slots"]
    gender: Int64[Tensor, " batch"]  # UNKNOWN where there is no label
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
    audio_keys = _keys_by_store(
        zip(windows["audio_store"], windows["audio_feature"].map(_listed), strict=True)
    )
    face_keys = _keys_by_store(
        zip(windows["face_store"], windows["face_features"].map(list), strict=True)
    )
    audio, audio_row_of = _load(audio_keys, "speech")
    face, face_row_of = _load(face_keys, "a face")
    slots = [
        [face_row_of.get((store, key), NO_CROP) for key in keys]
        for store, keys in zip(windows["face_store"], windows["face_features"], strict=True)
    ]
    spoken = zip(windows["audio_store"], windows["audio_feature"], strict=True)
    return WindowDataset(
        table=windows,
        audio=torch.from_numpy(audio.values),
        audio_steps=torch.from_numpy(audio.num_positions),
        audio_row=torch.tensor([audio_row_of.get(pair, NO_CROP) for pair in spoken]),
        face=torch.from_numpy(face.values),
        face_row=torch.tensor(slots),
        gender=_to_codes(windows["gender"], genders),
        age_years=torch.tensor(windows["age_years"].to_numpy(np.float32, na_value=np.nan)),
        mask_type=_to_codes(windows["mask_type"], MASK_TYPES),
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


def _listed(key: str | None) -> list[str | None]:
    return [key]


def _keys_by_store(pairs: Iterator[tuple[str, list[str | None]]]) -> dict[str, list[str]]:
    keys: dict[str, dict[str, None]] = {}
    for store, found in pairs:
        if isinstance(store, str):
            keys.setdefault(store, {}).update(dict.fromkeys(key for key in found if key))
    return {store: list(unique) for store, unique in keys.items()}


def _load(
    keys: dict[str, list[str]], what: str
) -> tuple[LoadedFeatures, dict[tuple[str, str], int]]:
    if not keys:
        raise EmptyDatasetError(f"No window has {what}: see data/skipped for the reasons.")
    pairs = [(store, key) for store, members in keys.items() for key in members]
    return load_features(keys), {pair: row for row, pair in enumerate(pairs)}


def _to_codes(labels: pd.Series, words: Sequence[str]) -> Int64[Tensor, " windows"]:
    codes = {word: code for code, word in enumerate(words)}
    return torch.tensor([codes.get(label, UNKNOWN) for label in labels])
