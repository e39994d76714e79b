"""The tables of one corpus -> a row for each window, which names its features by their keys."""

from typing import Final, NamedTuple

import pandas as pd

from oragen.config import paths
from oragen.schema.tables import CLIPS, CROPS, DATASET, FEATURE_ROWS, WINDOWS
from oragen.schema.vocabulary import LEVELS, LEVELS_OF_VIEWS, NO_CROP

NO_WINDOW: Final = {"start": -1, "stop": -1, "has_window": False}
LABELLED: Final = (
    "clip_id", "corpus", "split", "speaker_id", "gender", "age_years", "age_low", "age_high",
    "mask_type",
)  # fmt: skip


def join_corpus(corpus: str, face: str = "face") -> pd.DataFrame:
    """Read and join the tables of one corpus, with one kind of features of faces.

    Raises:
        TableError: one is missing, or is not what it should be.
    """
    return join_dataset(
        CLIPS.read(paths.clips_table(corpus)),
        WINDOWS.read(paths.windows_table(corpus)),
        CROPS.read(paths.crops_table(corpus)),
        FEATURE_ROWS.read(paths.feature_rows_table(corpus, "audio")),
        FEATURE_ROWS.read(paths.feature_rows_table(corpus, face)),
    )


def join_dataset(
    clips: pd.DataFrame,
    windows: pd.DataFrame,
    crops: pd.DataFrame,
    audio_rows: pd.DataFrame,
    face_rows: pd.DataFrame,
) -> pd.DataFrame:
    """Join the tables of one corpus: a row for each window, and for each clip without a window.

    A row names the features of its audio and of its slots by their keys, at each computed level. So
    the table changes whenever something changes that the features depend on, and only then.
    """
    audio_of, face_of = _features_of(audio_rows), _features_of(face_rows)
    key_of_crop = crops.set_index(["clip_id", "crop"])["key"].to_dict()
    labels = clips[list(LABELLED)].astype(object).where(clips[list(LABELLED)].notna(), None)
    rows = {row["clip_id"]: row for row in labels.to_dict("records")}
    joined = []
    for window in windows.itertuples():
        clip_id = window.clip_id
        audio = audio_of[window.key] if window.has_speech else _NO_FEATURES
        slots = [None if crop == NO_CROP else key_of_crop[clip_id, crop] for crop in window.crops]
        faces = [_NO_FEATURES if key is None else face_of[key] for key in slots]
        row = rows[clip_id] | {
            "start": window.start,
            "stop": window.stop,
            "has_window": True,
            "audio_store": audio.store,
            "audio_first": audio.first,
            "audio_num_positions": audio.num_positions,
            "face_store": next(filter(None, (features.store for features in faces)), None),
        }
        for level in LEVELS:
            row[f"audio_{level}"] = audio.keys.get(level)
            row[f"face_{level}"] = [features.keys.get(level) for features in faces]
        for level in LEVELS_OF_VIEWS:
            row[f"audio_next_{level}"] = audio.next_keys.get(level)
        joined.append(row)
    windowless = clips.loc[~clips["clip_id"].isin(windows["clip_id"]), "clip_id"]
    joined += [rows[clip] | NO_WINDOW for clip in windowless]
    return DATASET.frame(joined)


class _Features(NamedTuple):
    """Where the features of one input are, and their keys at each level."""

    store: str | None
    keys: dict[str, str]
    next_keys: dict[str, str | None]  # of a view, see FEATURE_ROWS
    first: int | None
    num_positions: int | None


_NO_FEATURES: Final = _Features(None, {}, {}, None, None)
_COLUMNS: Final = (
    "key", "store", "level", "feature_key", "next_feature_key", "first", "num_positions",
)  # fmt: skip


def _features_of(feature_rows: pd.DataFrame) -> dict[str, _Features]:
    features: dict[str, _Features] = {}
    rows = feature_rows[list(_COLUMNS)].astype(object)
    columns = (column for _, column in rows.where(rows.notna(), None).items())
    for key, store, level, feature_key, next_key, *place in zip(*columns, strict=True):
        of_key = features.setdefault(key, _Features(store, {}, {}, *place))
        of_key.keys[level] = feature_key
        of_key.next_keys[level] = next_key
    return features
