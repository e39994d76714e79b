"""Windows and sound -> embeddings of the frozen audio encoder."""

from functools import partial
from typing import Any

from oragen.config import paths
from oragen.config.params import load_params
from oragen.encoders import load_audio_encoder
from oragen.features.extraction import FeatureInput
from oragen.schema.tables import WINDOWS
from oragen.schema.vocabulary import count_samples
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.training.devices import choose_device
from stages.extracting import extract_corpus, find_origin
from stages.running import run_stage

STAGE = "extract_audio_features"


def main(corpus: str) -> None:
    """Encode the sound of the windows of CORPUS that the store lacks."""
    params = load_params()
    wanted = params.features.audio
    origin = find_origin(params, wanted.encoder)
    levels = params.features.levels
    encoder = load_audio_encoder(*origin, precision=wanted.precision, levels=levels)
    encoder.to(choose_device(params.execution.device))
    windows = WINDOWS.read(paths.windows_table(corpus))
    spoken = windows[windows["has_speech"]]
    max_samples = count_samples(params.windows.length_s)
    with OpenParts(PartStore(paths.audio_store(corpus), "h5")) as sounds:
        extract_corpus(
            STAGE,
            corpus,
            params,
            encoder,
            shape_of=partial(encoder.feature_shape, max_samples),
            windows=windows,
            inputs=[to_input(window, sounds, max_samples) for window in spoken.itertuples()],
            without="no window with speech",
        )


def to_input(window: Any, sounds: OpenParts, max_samples: int) -> FeatureInput:
    """One row of the windows table -> the stretch of sound that is encoded."""
    return FeatureInput(
        key=window.key,
        clip_id=window.clip_id,
        fill=(window.stop - window.start) / max_samples,
        read=partial(sounds.read, window.audio_key, window.start, window.stop),
    )


if __name__ == "__main__":
    run_stage(main)
