"""Clips -> sound: int16 mono 16 kHz, in immutable HDF5 parts."""

from functools import partial

from oragen import artefacts
from oragen.audio import decode_clip
from oragen.config import load_params
from oragen.execution import Wanted, fill_store, skipped_entries
from oragen.keys import audio_key
from oragen.parts import PartStore
from oragen.schema import CLIPS, Skipped
from stages.running import account, run_stage

STAGE = "decode_audio"


def main(corpus: str) -> None:
    """Decode the sound of the clips of CORPUS that the store lacks."""
    params = load_params()
    root = params.corpora[corpus].root
    clips = CLIPS.read(artefacts.clips_table(corpus)).set_index("clip_id")
    heard = clips[clips["audio_hash"].notna()]
    ingredients = params.audio.as_ingredients()
    keys = heard["audio_hash"].map(lambda digest: audio_key(digest, ingredients))
    store = PartStore(artefacts.audio_store(corpus), "h5")
    num_new = fill_store(
        store,
        {keys[clip]: Wanted(clip, root / path) for clip, path in heard["audio_path"].items()},
        partial(decode_clip, max_duration_s=params.audio.max_duration_s),
        spec={"values": "int16 mono 16 kHz", "audio": ingredients},
        part_bytes=params.execution.part_bytes,
        num_workers=params.execution.num_processes,
        title=STAGE,
    )
    index = store.index()
    entries = {clip: index[key].entry for clip, key in keys.items()}
    mute = clips.index.difference(heard.index)
    account(
        STAGE,
        corpus,
        clips_in=clips.index,
        clips_out=[clip for clip, entry in entries.items() if not entry.reason],
        skipped=[
            *skipped_entries(STAGE, entries),
            *(Skipped(clip, STAGE, "a picture without sound") for clip in mute),
        ],
        made=f"{num_new} decoded now",
    )


if __name__ == "__main__":
    run_stage(main)
