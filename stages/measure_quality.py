"""Sound, speech and crops -> a table of how much of them each clip has, and how good they are."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

import pandas as pd

from oragen.config import paths
from oragen.detection.quality import (
    VERSION,
    FaceQuality,
    SoundQuality,
    measure_faces,
    measure_sound,
)
from oragen.schema.errors import UserError
from oragen.schema.quality import QUALITY
from oragen.schema.tables import CLIPS, CROPS, SPEECH
from oragen.schema.vocabulary import to_spans
from oragen.store.parts import PartStore
from oragen.store.rows import Located
from stages.running import account, run_stage

STAGE = "measure_quality"
BOX = ["x1", "y1", "x2", "y2"]


Quality = TypeVar("Quality", SoundQuality, FaceQuality)


def main(corpus: str) -> None:
    """Measure the clips of CORPUS that the last table lacks."""
    clips = CLIPS.read(paths.clips_table(corpus))["clip_id"]
    speech = SPEECH.read(paths.speech_table(corpus)).assign(key=lambda rows: mark(rows["key"]))
    crops = CROPS.read(paths.crops_table(corpus))
    known = read_known(corpus)
    sounds = measure_all_sounds(corpus, speech, known)
    faces = measure_all_faces(corpus, crops, known)
    speech_key = speech.set_index("clip_id")["key"].to_dict()
    faces_key = mark(crops.drop_duplicates("clip_id").set_index("clip_id")["faces_key"]).to_dict()
    rows = [
        to_row(clip, speech_key.get(clip), faces_key.get(clip), sounds, faces) for clip in clips
    ]
    QUALITY.write(paths.quality_table(corpus), QUALITY.frame(rows))
    num_measured = len({*sounds, *faces} - {*known["speech_key"], *known["faces_key"]})
    account(
        STAGE, corpus, clips_in=clips, clips_out=clips, skipped=[],
        made=f"{len(sounds)} sounds and crops of {len(faces)} clips, {num_measured} of them now",
    )  # fmt: skip


def mark(keys: "pd.Series[str]") -> "pd.Series[str]":
    """Let keys of sound or crops stand for their measures: those of another version differ."""
    return VERSION + "-" + keys.astype(str)


def read_known(corpus: str) -> pd.DataFrame:
    """Read what was measured before."""
    path = paths.quality_table(corpus)
    return QUALITY.read(path) if path.is_file() else pd.DataFrame(columns=QUALITY.columns.names)


def measure_all_sounds(
    corpus: str, speech: pd.DataFrame, known: pd.DataFrame
) -> dict[str, SoundQuality]:
    """Return the measures of each sound by its marked key."""
    measured = find_known(known, "speech_key", SoundQuality, speech["key"])
    lacking = speech[~speech["key"].isin(measured)].drop_duplicates("key")
    by_audio = dict(iter(lacking.groupby("audio_key")))
    store = PartStore(paths.audio_store(corpus), "h5")
    for located, samples in store.read_many(locate(store, by_audio, f"decode_audio@{corpus}")):
        for row in by_audio[located.row.key].itertuples():
            spans = to_spans(row.starts, row.stops)
            measured[row.key] = measure_sound(samples, spans)
    return measured


def measure_all_faces(
    corpus: str, crops: pd.DataFrame, known: pd.DataFrame
) -> dict[str, FaceQuality]:
    """Return the measures of the crops of each clip by their marked key."""
    marked = mark(crops["faces_key"])
    measured = find_known(known, "faces_key", FaceQuality, marked)
    lacking = crops[~marked.isin(measured)].drop_duplicates(["faces_key", "crop"])
    by_key = dict(iter(lacking.groupby("faces_key")))
    store = PartStore(paths.faces_store(corpus), "h5")
    for located, pictures in store.read_many(locate(store, by_key, f"crop_faces@{corpus}")):
        boxes = by_key[located.row.key][BOX].to_numpy(float)
        measured[f"{VERSION}-{located.row.key}"] = measure_faces(boxes, pictures)
    return measured


def find_known(
    known: pd.DataFrame, key: str, kind: type[Quality], wanted: Iterable[str]
) -> dict[str, Quality]:
    """Return the measures of an earlier table for the keys that are wanted now."""
    rows = known[known[key].isin({*wanted})].drop_duplicates(key)
    columns = (rows[name].tolist() for name in kind._fields)
    return dict(zip(rows[key], map(kind, *columns), strict=True))


def locate(store: PartStore, keys: Collection[str], stage: str) -> list[Located]:
    """Return where the rows are that a table names.

    Raises:
        UserError: the store lacks some.
    """
    found = store.find(keys)
    if missing := [key for key in keys if key not in found]:
        raise UserError(
            f"{store.folder} lacks {len(missing)} rows, e.g. {missing[0]}. Run "
            f"`dvc repro {stage}`, after `oragen cache verify --remove` if a part is named above."
        )
    return [found[key] for key in keys]


def to_row(
    clip: str,
    speech_key: str | None,
    faces_key: str | None,
    sounds: Mapping[str, SoundQuality],
    faces: Mapping[str, FaceQuality],
) -> dict[str, object]:
    """One clip -> its row; what it lacks is null, and it has no crops."""
    row: dict[str, object] = {
        "clip_id": clip, "speech_key": speech_key, "faces_key": faces_key, "num_crops": 0,
    }  # fmt: skip
    if speech_key is not None:
        row |= sounds[speech_key]._asdict()
    if faces_key is not None:
        row |= faces[faces_key]._asdict()
    return row


if __name__ == "__main__":
    run_stage(main)
