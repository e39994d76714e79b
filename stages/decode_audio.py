"""Clips -> sound: int16 mono 16 kHz, in immutable HDF5 parts."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from oragen.config import paths
from oragen.config.params import load_params
from oragen.media.audio import decode_clip
from oragen.schema.tables import CLIPS
from oragen.schema.vocabulary import Made, Skipped
from oragen.store.fill import Wanted, fill_store, skipped_rows
from oragen.store.keys import audio_keys
from oragen.store.parts import PartStore
from stages.running import account, run_stage

STAGE = "decode_audio"


def main(corpus: str) -> None:
    """Decode the sound of the clips of CORPUS that the store lacks."""
    params = load_params()
    root = params.corpora[corpus].root
    clips = CLIPS.read(paths.clips_table(corpus))
    cache_parameters = params.audio.as_cache_parameters()
    keys = audio_keys(clips, cache_parameters)
    sources = find_sources(clips, root)
    store = PartStore(paths.audio_store(corpus), "h5")
    num_new = fill_store(
        store,
        {key: Wanted(clip, sources[clip]) for clip, key in keys.items()},
        partial(decode_source, max_duration_s=params.audio.max_duration_s),
        spec={"values": "int16 mono 16 kHz", "audio": cache_parameters},
        part_bytes=params.execution.part_bytes,
        num_workers=params.execution.num_processes,
        title=STAGE,
    )
    index = store.index()
    rows = {clip: index[key].row for clip, key in keys.items()}
    mute = [clip for clip in clips["clip_id"] if clip not in keys]
    account(
        STAGE,
        corpus,
        clips_in=clips["clip_id"],
        clips_out=[clip for clip, row in rows.items() if not row.reason],
        skipped=[
            *skipped_rows(STAGE, rows),
            *(Skipped(clip, STAGE, "a picture without sound") for clip in mute),
        ],
        made=f"{num_new} decoded now",
    )


class Source(NamedTuple):
    """A file with sound, and how it is stored where it does not say so itself."""

    path: Path
    encoding: str | None


def find_sources(clips: pd.DataFrame, root: Path) -> dict[str, Source]:
    """Clips table -> where the sound of each clip that has any comes from."""
    audible = clips[clips["audio_path"].notna()]
    columns = zip(audible["clip_id"], audible["audio_path"], audible["audio_encoding"], strict=True)
    return {
        clip: Source(root / path, None if pd.isna(encoding) else encoding)
        for clip, path, encoding in columns
    }


def decode_source(source: Source, *, max_duration_s: float) -> Made:
    """Decode a clip's sound in another process."""
    return decode_clip(source.path, max_duration_s=max_duration_s, encoding=source.encoding)


if __name__ == "__main__":
    run_stage(main)
