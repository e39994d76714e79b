"""Windows and sound -> embeddings of the frozen audio encoder, by windows or by stretches."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from oragen.config import paths
from oragen.config.params import Params, load_params
from oragen.features.encoder_notes import EncoderUse, LateEncoder
from oragen.features.presence import FeatureInput
from oragen.features.stretches import Stretching, cut_stretches
from oragen.schema.tables import SPEECH, WINDOWS
from oragen.schema.vocabulary import count_samples, to_spans
from oragen.store.keys import stretch_key
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from stages.extracting import Extraction, Located, choose_stretching, extract_corpus, use_encoder
from stages.running import run_stage

if TYPE_CHECKING:
    from oragen.encoders import AudioEncoder, SpeakerEncoder

STAGE = "extract_audio_features"


def main(corpus: str) -> None:
    """Encode the sound of the windows of CORPUS that the store lacks."""
    params = load_params()
    with prepare(params, corpus, device=params.execution.device) as extraction:
        extract_corpus(STAGE, corpus, params, extraction, without="no window with speech")


@contextmanager
def prepare(params: Params, corpus: str, *, device: str) -> Iterator[Extraction]:
    """Say what the store of a corpus should hold, while the block runs."""
    max_samples = count_samples(params.windows.length_s)
    use = use_encoder(params, "audio", max_samples)
    encoder = LateEncoder(use, partial(load, use, device), paths.encoder_notes())
    windows = WINDOWS.read(paths.windows_table(corpus))
    spoken = windows[windows["has_speech"]]
    frame_samples = (encoder.noted or encoder.described).frame_samples
    assert frame_samples is not None, "it is asked for sound"
    stretching = choose_stretching(params, frame_samples)
    with OpenParts(PartStore(paths.audio_store(corpus), "h5")) as sounds:
        if stretching is None:
            inputs = [to_input(window, sounds, max_samples) for window in spoken.itertuples()]
            yield Extraction(encoder, windows, inputs)
        else:
            speech = SPEECH.read(paths.speech_table(corpus))
            inputs, located = cut_corpus(spoken, speech, sounds, stretching)
            yield Extraction(encoder, windows, inputs, stretching, located)


def load(use: EncoderUse, device: str) -> "AudioEncoder | SpeakerEncoder":
    """Load the encoder, to its device."""
    from oragen.encoders import load_any_audio_encoder
    from oragen.encoders.layers import LayerError
    from oragen.training.devices import choose_device

    try:
        encoder = load_any_audio_encoder(
            use.source,
            use.revision,
            precision=use.precision,
            levels=use.levels,
            layers=use.layers,
        )
    except LayerError as error:
        raise LayerError(
            f"{error} Choose other layers, or set `features.audio.layers: last`, in params.yaml."
        ) from error
    return encoder.to(choose_device(device))


def to_input(window: Any, sounds: OpenParts, max_samples: int) -> FeatureInput:
    """One row of the windows table -> the stretch of sound that is encoded."""
    return FeatureInput(
        key=window.key,
        clip_id=window.clip_id,
        fill=(window.stop - window.start) / max_samples,
        read=partial(sounds.read, window.audio_key, window.start, window.stop),
    )


def cut_corpus(
    spoken: pd.DataFrame, speech: pd.DataFrame, sounds: OpenParts, stretching: Stretching
) -> tuple[list[FeatureInput], list[Located]]:
    """Windows with speech -> the stretches that hold them, and where each window is in these."""
    num_samples = speech.set_index("clip_id")["num_samples"]
    inputs: list[FeatureInput] = []
    located: dict[str, Located] = {}  # by the key of a window: equal files have equal keys
    for clip, windows in spoken.groupby("clip_id"):
        spans, audio_key = to_spans(windows["start"], windows["stop"]), windows["audio_key"].iloc[0]
        stretches, views = cut_stretches(spans, int(num_samples[clip]), stretching)
        keys = [stretch_key(audio_key, stretch.frames, stretch.sound) for stretch in stretches]
        inputs += [
            FeatureInput(
                key=key,
                clip_id=str(clip),
                fill=(stretch.frames.stop - stretch.frames.start) / stretching.length,
                read=partial(sounds.read, audio_key, *stretch.sound),
                kept=stretch.kept,
            )
            for key, stretch in zip(keys, stretches, strict=True)
        ]
        for key, view in zip(windows["key"], views, strict=True):
            next_key = keys[view.stretch + 1] if view.goes_on(stretches) else None
            located[key] = Located(key, keys[view.stretch], next_key, view.first, view.num_frames)
    return inputs, list(located.values())


if __name__ == "__main__":
    run_stage(main)
