"""What the two extraction stages share: encode what is missing, and say which rows are in use."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from oragen import artefacts
from oragen.config import Params
from oragen.encoders import AudioEncoder, FaceEncoder
from oragen.features import FeatureInput, FeatureSpec, extract
from oragen.parts import PartStore
from oragen.schema import FEATURE_ROWS, Modality, Skipped
from stages.running import account


class Origin(NamedTuple):
    """Where an encoder is loaded from."""

    source: str
    revision: str | None


def find_origin(params: Params, encoder: str) -> Origin:
    """Return where an encoder is: in its own source, or in data/encoders once fine-tuned."""
    if encoder in params.encoders.finetune:
        return Origin(str(artefacts.encoder_folder(encoder)), None)
    entry = params.encoders.catalogue[encoder]
    return Origin(entry.source, entry.revision)


def extract_corpus(
    stage: str,
    corpus: str,
    params: Params,
    encoder: AudioEncoder | FaceEncoder,
    *,
    shape: tuple[int, int],
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
        shape: of one row of features.
        windows: all windows of the corpus.
        inputs: what is to be encoded; those the store knows are not read.
        without: why a clip has no input.
    """
    modality: Modality = "audio" if isinstance(encoder, AudioEncoder) else "face"
    wanted = params.features.of(modality)
    spec = FeatureSpec(
        modality=modality,
        encoder=wanted.encoder,
        source=find_origin(params, wanted.encoder).source,
        fingerprint=encoder.fingerprint,
        level=wanted.level,
        precision=wanted.precision,
        shape=shape,
    )
    store = PartStore(artefacts.feature_store(corpus, wanted.encoder), "zarr")
    num_new = extract(
        store,
        inputs,
        encoder.encode,
        spec,
        batch_size=wanted.batch_size,
        part_bytes=params.execution.part_bytes,
    )
    keys = dict.fromkeys(item.key for item in inputs)
    rows = FEATURE_ROWS.frame(
        [{"key": key, "feature_key": spec.key_of(key), "store": str(store.folder)} for key in keys]
    )
    FEATURE_ROWS.write(artefacts.feature_rows_table(corpus, modality), rows)
    used = {item.clip_id for item in inputs}
    account(
        stage,
        corpus,
        clips_in=windows["clip_id"],
        clips_out=used,
        skipped=[Skipped(clip, stage, without) for clip in sorted({*windows["clip_id"]} - used)],
        made=f"{len(windows)} windows in, {len(rows)} feature rows, {num_new} encoded now",
    )
