"""Clips -> sound: int16 mono 16 kHz, in immutable HDF5 parts."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from oragen.config import paths
from oragen.config.params import Params, load_params
from oragen.isolation.workers import Workers
from oragen.media.audio import decode_clip
from oragen.media.verified import DECODERS, Reading, count_bytes, read_verified
from oragen.schema.tables import CLIPS
from oragen.schema.vocabulary import Skipped
from oragen.store.fill import Filling, Wanted, failed_clips, skipped_rows
from oragen.store.keys import audio_keys
from oragen.store.parts import PartStore
from stages.launching import fill_lacking
from stages.running import account, refuse_failures, run_stage

STAGE = "decode_audio"


def main(corpus: str) -> None:
    """Decode the sound of the clips of CORPUS that the store lacks."""
    params = load_params()
    clips = CLIPS.read(paths.clips_table(corpus))
    keys = audio_keys(clips, params.audio.as_cache_parameters())
    filled = fill_lacking(corpus, params, describe(params, corpus), open_workers)
    rows = {clip: filled.located[key].row for clip, key in keys.items() if key in filled.located}
    failed = failed_clips(STAGE, keys, filled)
    mute = [clip for clip in clips["clip_id"] if clip not in keys]
    account(
        STAGE,
        corpus,
        clips_in=clips["clip_id"],
        clips_out=[clip for clip, row in rows.items() if not row.reason],
        skipped=[
            *skipped_rows(STAGE, rows),
            *failed,
            *(Skipped(clip, STAGE, "a picture without sound") for clip in mute),
        ],
        made=f"{filled.num_made} decoded now",
    )
    refuse_failures(STAGE, corpus, failed)


def describe(params: Params, corpus: str) -> Filling:
    """Say what the store of a corpus should hold."""
    root = params.corpus(corpus).root
    clips = CLIPS.read(paths.clips_table(corpus))
    cache_parameters = params.audio.as_cache_parameters()
    sources = find_sources(clips, root, params.audio.max_duration_s)
    return Filling(
        PartStore(paths.audio_store(corpus), "h5"),
        {
            key: Wanted(clip, sources[clip])
            for clip, key in audio_keys(clips, cache_parameters).items()
        },
        read_verified,
        nothing=np.zeros(0, np.int16),
        spec={"values": "int16 mono 16 kHz", "audio": cache_parameters},
        part_bytes=params.execution.part_bytes,
        libraries=DECODERS,
        title=STAGE,
        limits=params.execution.clip_limits,
        size_of=count_bytes,
    )


def open_workers(params: Params, num_workers: int) -> Workers:
    """Return the processes that decode."""
    return Workers(num_workers, limits=params.execution.clip_limits)


def find_sources(clips: pd.DataFrame, root: Path, max_duration_s: float) -> dict[str, Reading]:
    """Clips table -> where the sound of each clip that has any comes from, and what to make."""
    audible = clips[clips["audio_path"].notna()]
    names = ["clip_id", "audio_path", "audio_hash", "audio_encoding"]
    columns = zip(*(audible[name] for name in names), strict=True)
    return {
        clip: Reading(
            root / path,
            digest,
            partial(
                decode_clip,
                max_duration_s=max_duration_s,
                encoding=None if pd.isna(encoding) else encoding,
            ),
        )
        for clip, path, digest, encoding in columns
    }


if __name__ == "__main__":
    run_stage(main)
