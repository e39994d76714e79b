"""What the two extraction stages share: encode what is missing, and say which rows are in use."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd

from oragen.config import paths
from oragen.config.params import Params
from oragen.encoders import AudioEncoder, FaceEncoder, OffTheShelfEncoder
from oragen.features.extraction import FeatureInput, extract
from oragen.features.rows import FeatureSpec
from oragen.schema.tables import FEATURE_ROWS
from oragen.schema.vocabulary import Level, Modality, Skipped
from oragen.store.parts import PartStore
from stages.running import account


class Origin(NamedTuple):
    """Where an encoder is loaded from."""

    source: str
    revision: str | None


def find_origin(params: Params, encoder: str) -> Origin:
    """Return where an encoder is: in its own source, or in data/encoders once fine-tuned."""
    if encoder in params.encoders.finetune:
        return Origin(str(paths.encoder_folder(encoder)), None)
    entry = params.encoders.catalogue[encoder]
    return Origin(entry.source, entry.revision)


def make_specs(
    params: Params,
    modality: Modality,
    fingerprint_of: Callable[[Level], str],
    shape_of: Callable[[Level], tuple[int, int]],
) -> list[FeatureSpec]:
    """Say what the features of each level of `features.levels` are."""
    wanted = params.features.of(modality)
    return [
        FeatureSpec(
            modality=modality,
            encoder=wanted.encoder,
            source=find_origin(params, wanted.encoder).source,
            fingerprint=fingerprint_of(level),
            level=level,
            precision=wanted.precision,
            shape=shape_of(level),
        )
        for level in params.features.levels
    ]


def extract_corpus(
    stage: str,
    corpus: str,
    params: Params,
    encoder: AudioEncoder | FaceEncoder | OffTheShelfEncoder,
    *,
    shape_of: Callable[[Level], tuple[int, int]],
    windows: pd.DataFrame,
    inputs: Sequence[FeatureInput],
    without: str,
) -> None:
    """Encode a corpus' inputs, write the table of the rows in use, and account for its clips.

    Args:
        stage: its name.
        corpus: its name.
        params: all parameters.
        encoder: on its device.
        shape_of: a level -> positions and width of one row.
        windows: all windows of the corpus.
        inputs: what is to be encoded; those the store knows are not read.
        without: why a clip has no input.
    """
    modality: Modality = "audio" if isinstance(encoder, AudioEncoder) else "face"
    wanted = params.features.of(modality)
    specs = make_specs(params, modality, encoder.fingerprint, shape_of)
    store = PartStore(paths.feature_store(corpus, wanted.encoder), "zarr")
    num_new = extract(
        store,
        inputs,
        encoder,
        specs,
        batch_size=wanted.batch_size,
        part_bytes=params.execution.part_bytes,
    )
    keys, folder = dict.fromkeys(item.key for item in inputs), str(store.folder)
    rows = FEATURE_ROWS.frame(
        [
            {"key": key, "level": spec.level, "feature_key": spec.key_of(key), "store": folder}
            for key in keys
            for spec in specs
        ]
    )
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, modality), rows)
    used = {item.clip_id for item in inputs}
    account(
        stage,
        corpus,
        clips_in=windows["clip_id"],
        clips_out=used,
        skipped=[Skipped(clip, stage, without) for clip in sorted({*windows["clip_id"]} - used)],
        made=f"{len(windows)} windows in, {len(rows)} feature rows, {num_new} encoded now",
    )
