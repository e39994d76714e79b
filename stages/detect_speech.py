"""Sound -> speech spans, in immutable HDF5 parts, and their table."""

from functools import partial

import numpy as np

from oragen.config import paths
from oragen.config.options import fill
from oragen.config.params import load_params
from oragen.detection.speech import SpeechOptions, detect_clip_speech
from oragen.schema.tables import CLIPS, SPEECH
from oragen.store.fill import Wanted, fill_store, skipped_rows
from oragen.store.keys import audio_keys, speech_key
from oragen.store.parts import Located, PartStore
from stages.running import account, run_stage

STAGE = "detect_speech"


def main(corpus: str) -> None:
    """Find the speech in the clips of CORPUS that the store lacks."""
    params = load_params()
    sounds = find_sounds(corpus, params.audio.as_cache_parameters())
    cache_parameters = params.speech.as_cache_parameters()
    keys = {clip: speech_key(sound.row.key, cache_parameters) for clip, sound in sounds.items()}
    store = PartStore(paths.speech_store(corpus), "h5")
    num_new = fill_store(
        store,
        {keys[clip]: Wanted(clip, sound) for clip, sound in sounds.items()},
        partial(detect_clip_speech, options=fill(SpeechOptions, params.speech)),
        spec={
            "values": "int64 samples at 16 kHz: span x (start, stop)",
            "speech": cache_parameters,
        },
        part_bytes=params.execution.part_bytes,
        num_workers=params.execution.num_processes,
        title=STAGE,
    )
    index = store.index()
    used = [index[key] for key in dict.fromkeys(keys.values())]
    spans = {located.row.key: values for located, values in store.read_many(used)}
    table = [
        to_row(clip, index[keys[clip]], sound.row.key, spans[keys[clip]])
        for clip, sound in sounds.items()
    ]
    SPEECH.write(paths.speech_table(corpus), SPEECH.frame(table))
    rows = {clip: index[key].row for clip, key in keys.items()}
    account(
        STAGE,
        corpus,
        clips_in=list(sounds),
        clips_out=[clip for clip, row in rows.items() if not row.reason],
        skipped=skipped_rows(STAGE, rows),
        made=f"{sum(len(spans[key]) for key in keys.values())} spans, {num_new} clips searched now",
    )


def find_sounds(corpus: str, audio: dict[str, object]) -> dict[str, Located]:
    """Return where the sound of each clip that has one is."""
    index = PartStore(paths.audio_store(corpus), "h5").index()
    keys = audio_keys(CLIPS.read(paths.clips_table(corpus)), audio)
    sounds = {clip: index[key] for clip, key in keys.items()}
    return {clip: sound for clip, sound in sounds.items() if sound.row.reason is None}


def to_row(clip: str, speech: Located, audio: str, spans: np.ndarray) -> dict[str, object]:
    """One clip's row of the store -> its row of the speech table."""
    return {
        "clip_id": clip,
        "key": speech.row.key,
        "audio_key": audio,
        "num_samples": speech.row.details["num_samples"],
        "starts": spans[:, 0].tolist(),
        "stops": spans[:, 1].tolist(),
    }


if __name__ == "__main__":
    run_stage(main)
