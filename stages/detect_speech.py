"""Sound -> speech spans."""

import numpy as np
import pandas as pd
from tqdm import tqdm

from oragen import artefacts
from oragen.config import Speech, load_params
from oragen.keys import audio_key, speech_key
from oragen.parts import Located, PartStore
from oragen.schema import CLIPS, SPEECH, Skipped, Span
from oragen.speech import SpeechDetector, detect_speech, load_speech_detector
from stages.running import account, run_stage

STAGE = "detect_speech"


def main(corpus: str) -> None:
    """Find the speech in the clips of CORPUS; what is known from the last run is kept."""
    params = load_params()
    store = PartStore(artefacts.audio_store(corpus), "h5")
    sounds = find_sounds(corpus, store, params.audio.as_ingredients())
    ingredients = params.speech.as_ingredients()
    keys = {clip: speech_key(sound.entry.key, ingredients) for clip, sound in sounds.items()}
    known = read_known(corpus, keys)
    new = {clip: sounds[clip] for clip in sorted(sounds.keys() - {*known["clip_id"]})}
    found = listen(store, new, keys, params.speech)
    speech = pd.concat([known, found], ignore_index=True)
    SPEECH.write(artefacts.speech_table(corpus), speech)
    num_spans = speech["starts"].map(len)
    silent = speech.loc[num_spans == 0, "clip_id"]
    account(
        STAGE,
        corpus,
        clips_in=list(sounds),
        clips_out=sounds.keys() - {*silent},
        skipped=[Skipped(clip, STAGE, "no speech") for clip in silent],
        made=f"{num_spans.sum()} spans, {len(new)} clips heard now",
    )


def find_sounds(corpus: str, store: PartStore, audio: dict[str, object]) -> dict[str, Located]:
    """Return where the sound of each clip that has one is."""
    index = store.index()
    clips = CLIPS.read(artefacts.clips_table(corpus)).set_index("clip_id")
    hashes = clips["audio_hash"].dropna()
    sounds = {clip: index[audio_key(digest, audio)] for clip, digest in hashes.items()}
    return {clip: sound for clip, sound in sounds.items() if sound.entry.reason is None}


def read_known(corpus: str, keys: dict[str, str]) -> pd.DataFrame:
    """Return the rows of the last run that are still what the parameters ask for."""
    path = artefacts.speech_table(corpus)
    if not path.exists():
        return SPEECH.empty()
    last = SPEECH.read(path)
    return last[last["clip_id"].map(keys.get) == last["key"]]


def listen(
    store: PartStore, sounds: dict[str, Located], keys: dict[str, str], options: Speech
) -> pd.DataFrame:
    """Run the speech detector over the sound of some clips, each sound once."""
    if not sounds:
        return SPEECH.empty()
    detector = load_speech_detector()
    unique = {sound.entry.key: sound for sound in sounds.values()}
    reading = store.read_many(list(unique.values()))
    heard = {
        sound.entry.key: listen_once(detector, samples, options)
        for sound, samples in tqdm(reading, total=len(unique), desc=STAGE, unit="clip")
    }
    rows = [
        {"clip_id": clip, "key": keys[clip], "audio_key": sound.entry.key, **heard[sound.entry.key]}
        for clip, sound in sounds.items()
    ]
    return SPEECH.frame(rows)


def listen_once(
    detector: SpeechDetector, samples: np.ndarray, options: Speech
) -> dict[str, object]:
    """Find the speech in one sound."""
    spans: list[Span] = detect_speech(
        detector,
        samples,
        threshold=options.threshold,
        min_speech_ms=options.min_speech_ms,
        min_silence_ms=options.min_silence_ms,
        pad_ms=options.pad_ms,
    )
    starts, stops = [span.start for span in spans], [span.stop for span in spans]
    return {"num_samples": len(samples), "starts": starts, "stops": stops}


if __name__ == "__main__":
    run_stage(main)
