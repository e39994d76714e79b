"""Windows of twelve clips with features, as tables and stores that `oragen cache export` reads."""

from typing import Any, Final

import numpy as np
import pandas as pd

from oragen.config import paths
from oragen.schema.tables import CLIPS, CROPS, DATASET, FEATURE_ROWS, WINDOWS
from oragen.schema.vocabulary import GENDERS, MASK_TYPES
from tests.feature_stores import make_spec, write_features

AUDIO, FACE = make_spec("audio"), make_spec("face")  # 4 x 3; 2 x 6
AUDIO_STORE: Final = paths.feature_store("studio", "tiny-wav2vec2")
FACE_STORE: Final = paths.feature_store("studio", "tiny-vit")
NUM_CLIPS: Final = 12
SPLITS: Final = ("train", "train", "train", "dev", "test", "train")
SILENT, FACELESS, HALF_FACED = 3, 7, 5  # clips; the last one lacks a crop in the second slot
Row = dict[str, Any]


def write_windows() -> pd.DataFrame:
    """Write a window for each clip; clip n has n % 4 + 1 steps of audio, and a dot in its name."""
    generator = np.random.default_rng(0)
    clips = range(NUM_CLIPS)
    audio = {sound(n): generator.standard_normal((n % 4 + 1, 3)) for n in clips if n != SILENT}
    face = {crop(n, s): generator.standard_normal((2, 6)) for n in clips for s in slots(n)}
    write_features(AUDIO_STORE, audio, AUDIO, part_bytes=60, clip_of=clip_of)
    write_features(FACE_STORE, face, FACE, part_bytes=80, clip_of=clip_of)
    return DATASET.frame([window(n) for n in clips])


def window(n: int) -> Row:
    return label(n) | {
        "start": 0,
        "stop": 64_000,
        "has_window": True,
        "audio_store": str(AUDIO_STORE),
        "audio_intermediate": None if n == SILENT else AUDIO.key_of(sound(n)),
        "face_store": str(FACE_STORE),
        "face_intermediate": [FACE.key_of(crop(n, s)) if s in slots(n) else None for s in (0, 1)],
    }


def label(n: int) -> Row:
    return {
        "clip_id": f"studio/a.{n}",
        "corpus": "studio",
        "split": SPLITS[n % 6],
        "speaker_id": f"s{n}",
        "gender": [*GENDERS, "child", None][n % 4],
        "age_years": None if n == 2 else 20.1 + n,
        "mask_type": None if n == 1 else MASK_TYPES[n % 6],
    }


def sound(n: int) -> str:
    return f"{n}-sound"


def crop(n: int, slot: int) -> str:
    return f"{n}-crop-{slot}"


def slots(n: int) -> range:
    return range({FACELESS: 0, HALF_FACED: 1}.get(n, 2))


def clip_of(key: str) -> str:
    return key.partition("-")[0]


def write_corpus() -> None:
    """Write the tables of the corpus that `make_datasets` would join."""
    clips = range(NUM_CLIPS)
    CLIPS.write(paths.clips_table("studio"), CLIPS.frame([label(n) for n in clips]))
    WINDOWS.write(
        paths.windows_table("studio"),
        WINDOWS.frame(
            [
                {
                    "window_id": f"studio/a.{n}#0", "clip_id": f"studio/a.{n}", "start": 0,
                    "stop": 64_000, "has_speech": n != SILENT, "key": sound(n), "audio_key": "k",
                    "crops": [s if s in slots(n) else -1 for s in (0, 1)],
                }
                for n in clips
            ]
        ),
    )  # fmt: skip
    box = {"x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0, "score": 0.5, "faces_key": "f", "sample": 0}
    crops = [
        {"clip_id": f"studio/a.{n}", "crop": s, "key": crop(n, s), **box}
        for n in clips
        for s in slots(n)
    ]
    CROPS.write(paths.crops_table("studio"), CROPS.frame(crops))
    sounds = {sound(n): AUDIO.key_of(sound(n)) for n in clips if n != SILENT}
    faces = {crop(n, s): FACE.key_of(crop(n, s)) for n in clips for s in slots(n)}
    for kind, keys, store in (("audio", sounds, AUDIO_STORE), ("face", faces, FACE_STORE)):
        rows: list[dict[str, object]] = [
            {"key": key, "level": "intermediate", "feature_key": feature, "store": str(store)}
            for key, feature in keys.items()
        ]
        FEATURE_ROWS.write(paths.feature_rows_table("studio", kind), FEATURE_ROWS.frame(rows))
