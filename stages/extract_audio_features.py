"""Windows and sound -> embeddings of the frozen audio encoder."""

from functools import partial
from typing import Any

from oragen import artefacts
from oragen.config import load_params
from oragen.devices import choose_device
from oragen.encoders import load_audio_encoder
from oragen.features import FeatureInput, FeatureSpec, extract
from oragen.parts import OpenParts, PartStore
from oragen.schema import FEATURE_ROWS, SAMPLE_RATE_HZ, WINDOWS, Skipped
from stages.running import account, run_stage

STAGE = "extract_audio_features"


def main(corpus: str) -> None:
    """Encode the sound of the windows of CORPUS that the store lacks."""
    params = load_params()
    wanted = params.features.audio
    source = params.encoders[wanted.encoder]
    windows = WINDOWS.read(artefacts.windows_table(corpus))
    spoken = windows[windows["has_speech"]]
    encoder = load_audio_encoder(source.source, source.revision, precision=wanted.precision)
    encoder.to(choose_device(params.execution.device))
    spec = FeatureSpec(
        modality="audio",
        encoder=wanted.encoder,
        source=source.source,
        fingerprint=encoder.fingerprint,
        level="intermediate",
        precision=wanted.precision,
        shape=(encoder.num_steps(round(params.windows.length_s * SAMPLE_RATE_HZ)), encoder.width),
    )
    store = PartStore(artefacts.feature_store(corpus, wanted.encoder), "zarr")
    with OpenParts(PartStore(artefacts.audio_store(corpus), "h5")) as sounds:
        num_new = extract(
            store,
            [to_input(window, sounds) for window in spoken.itertuples()],
            encoder.encode,
            spec,
            batch_size=wanted.batch_size,
            part_bytes=params.execution.part_bytes,
        )
    rows = FEATURE_ROWS.frame(
        [
            {"key": key, "feature_key": spec.key_of(key), "store": str(store.folder)}
            for key in spoken["key"].unique()
        ]
    )
    FEATURE_ROWS.write(artefacts.feature_rows_table(corpus, "audio"), rows)
    unheard = {*windows["clip_id"]} - {*spoken["clip_id"]}
    account(
        STAGE,
        corpus,
        clips_in=windows["clip_id"],
        clips_out=spoken["clip_id"],
        skipped=[Skipped(clip, STAGE, "no window with speech") for clip in sorted(unheard)],
        made=f"{len(spoken)} windows in, {len(rows)} feature rows, {num_new} encoded now",
    )


def to_input(window: Any, sounds: OpenParts) -> FeatureInput:
    """One row of the windows table -> the stretch of sound that is encoded."""
    return FeatureInput(
        key=window.key,
        clip_id=window.clip_id,
        size=window.stop - window.start,
        read=partial(sounds.read, window.audio_key, window.start, window.stop),
    )


if __name__ == "__main__":
    run_stage(main)
