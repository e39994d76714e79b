"""Sound -> speech spans, in immutable HDF5 parts, and their table."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from oragen.config import paths
from oragen.config.options import fill
from oragen.config.params import Params, load_params
from oragen.detection.speech import LIBRARIES, SpeechOptions, detect_clip_speech
from oragen.isolation.workers import ThisProcess, Workers
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS, SPEECH
from oragen.store.fill import Filling, Wanted, failed_clips, find_rows, skipped_rows
from oragen.store.keys import audio_keys, speech_key
from oragen.store.parts import PartStore
from oragen.store.rows import Located
from stages.launching import fill_lacking
from stages.running import account, refuse_failures, run_stage

STAGE = "detect_speech"


def main(corpus: str) -> None:
    """Find the speech in the clips of CORPUS that the store lacks."""
    params = load_params()
    sounds = find_sounds(corpus, params.audio.as_cache_parameters())
    keys = find_keys(params, sounds)
    filling = describe_sounds(params, corpus, sounds)
    filled = fill_lacking(corpus, params, filling, open_workers)
    store = filling.store
    found = {key: located for key, located in filled.located.items() if located.row.key == key}
    spans = {located.row.key: values for located, values in store.read_many([*found.values()])}
    table = [
        to_row(clip, found[key], sounds[clip].row.key, spans[key])
        for clip, key in keys.items()
        if key in found
    ]
    SPEECH.write(paths.speech_table(corpus), SPEECH.frame(table))
    rows = {clip: filled.located[key].row for clip, key in keys.items() if key in filled.located}
    failed = failed_clips(STAGE, keys, filled)
    account(
        STAGE,
        corpus,
        clips_in=list(sounds),
        clips_out=[clip for clip, row in rows.items() if not row.reason],
        skipped=[*skipped_rows(STAGE, rows), *failed],
        made=f"{sum(map(len, spans.values()))} spans, {filled.num_made} clips searched now",
    )
    refuse_failures(STAGE, corpus, failed)


def describe(params: Params, corpus: str) -> Filling:
    """Say what the store of a corpus should hold."""
    return describe_sounds(params, corpus, find_sounds(corpus, params.audio.as_cache_parameters()))


def describe_sounds(params: Params, corpus: str, sounds: Mapping[str, Located]) -> Filling:
    """Say what the store of a corpus should hold, where its sound has been found."""
    keys = find_keys(params, sounds)
    return Filling(
        PartStore(paths.speech_store(corpus), "h5"),
        {keys[clip]: Wanted(clip, sound) for clip, sound in sounds.items()},
        partial(detect_clip_speech, options=fill(SpeechOptions, params.speech)),
        nothing=np.zeros((0, 2), np.int64),
        spec={
            "values": "int64 samples at 16 kHz: span x (start, stop)",
            "speech": params.speech.as_cache_parameters(),
        },
        part_bytes=params.execution.part_bytes,
        libraries=LIBRARIES,
        title=STAGE,
    )


def find_keys(params: Params, sounds: Mapping[str, Located]) -> dict[str, str]:
    """Return the key of the speech of each clip."""
    cache_parameters = params.speech.as_cache_parameters()
    return {clip: speech_key(sound.row.key, cache_parameters) for clip, sound in sounds.items()}


def open_workers(_: Params, num_workers: int) -> Workers | ThisProcess:
    """Return the processes that search; one alone would import torch a second time."""
    return ThisProcess() if num_workers == 1 else Workers(num_workers, action="speech detection")


def find_sounds(corpus: str, audio: dict[str, object]) -> dict[str, Located]:
    """Return where the sound of each clip that has one is."""
    keys = audio_keys(CLIPS.read(paths.clips_table(corpus)), audio)
    rows = find_rows(PartStore(paths.audio_store(corpus), "h5").find(), keys.values())
    if missing := [clip for clip, key in keys.items() if key not in rows]:
        raise UserError(
            f"{len(missing)} clips of {corpus} are not decoded, e.g. {missing[0]}. "
            f"Run `dvc repro decode_audio@{corpus}`, after `oragen cache verify --remove` if a "
            "part is named above."
        )
    sounds = {clip: rows[key] for clip, key in keys.items()}
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
