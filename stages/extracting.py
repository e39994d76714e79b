"""What the two extraction stages share: encode what is missing, and say which rows are in use."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, assert_never

import pandas as pd

from oragen.config import paths
from oragen.config.params import Params
from oragen.features.encoder_notes import EncoderNote, EncoderUse, LateEncoder
from oragen.features.places import PLACES, list_places
from oragen.features.presence import FeatureInput, find_lacking
from oragen.features.spec import FeatureSpec
from oragen.features.stretches import Grid, Stretching
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


def use_encoder(params: Params, modality: Modality, num_samples: int | None = None) -> EncoderUse:
    """Return how an encoder is used by params.yaml; sound has a longest input."""
    wanted = params.features.of(modality)
    origin = find_origin(params, wanted.encoder)
    return EncoderUse(modality, *origin, wanted.precision, params.features.levels, num_samples)


def make_specs(
    params: Params,
    modality: Modality,
    fingerprint_of: Callable[[Level], str],
    shape_of: Callable[[Level], tuple[int, int]],
    stretching: Stretching | None = None,
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
            stretching=stretching,
        )
        for level in params.features.levels
    ]


def choose_stretching(params: Params, frame_samples: tuple[int, int]) -> Stretching | None:
    """Return how sound is cut into stretches by `features.audio.span`; None: by windows."""
    wanted = params.features.audio
    match wanted.span:
        case "window":
            return None
        case "clip":
            grid = Grid(*frame_samples)
            return Stretching.from_seconds(wanted.stretch_s, wanted.context_s, grid)
        case _:
            assert_never(wanted.span)


class Located(NamedTuple):
    """The features of one window or crop: the keys of its input, or of one or two stretches."""

    key: str
    input: str
    next_input: str | None = None
    first: int | None = None  # see FEATURE_ROWS
    num_positions: int | None = None


def extract_corpus(
    stage: str,
    corpus: str,
    params: Params,
    encoder: LateEncoder,
    *,
    windows: pd.DataFrame,
    inputs: Sequence[FeatureInput],
    without: str,
    stretching: Stretching | None = None,
    located: Sequence[Located] | None = None,
) -> None:
    """Encode a corpus' inputs, write the table of the rows in use, and account for its clips.

    Args:
        stage: its name.
        corpus: its name.
        params: all parameters.
        encoder: is loaded if something is to be encoded, or nothing is known of it.
        windows: all windows of the corpus.
        inputs: what is to be encoded; those the store knows are not read.
        without: why a clip has no input.
        stretching: how sound was cut into stretches, if it was.
        located: where the features of each window are; None: inputs are windows or crops.
    """
    modality = encoder.use.modality
    store = PartStore(paths.feature_store(corpus, params.features.of(modality).encoder), "zarr")

    def to_specs(note: EncoderNote) -> list[FeatureSpec]:
        fingerprint_of, shape_of = note.fingerprints.__getitem__, note.shapes.__getitem__
        return make_specs(params, modality, fingerprint_of, shape_of, stretching)

    specs, num_new = encode_lacking(
        store,
        inputs,
        encoder,
        to_specs,
        batch_size=batch_size_of(params, modality),
        part_bytes=params.execution.part_bytes,
    )
    if located is None:
        located = [Located(key, key) for key in dict.fromkeys(item.key for item in inputs)]
    rows = FEATURE_ROWS.frame(
        [to_row(features, spec, store.folder) for features in located for spec in specs]
    )
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, modality), rows)
    PLACES.write(paths.places_table(corpus, modality), list_places(rows))
    used = {item.clip_id for item in inputs}
    account(
        stage,
        corpus,
        clips_in=windows["clip_id"],
        clips_out=used,
        skipped=[Skipped(clip, stage, without) for clip in sorted({*windows["clip_id"]} - used)],
        made=f"{len(windows)} windows in, {len(rows)} feature rows, {num_new} encoded now",
    )


def encode_lacking(
    store: PartStore,
    inputs: Sequence[FeatureInput],
    encoder: LateEncoder,
    to_specs: Callable[[EncoderNote], list[FeatureSpec]],
    *,
    batch_size: int,
    part_bytes: int,
) -> tuple[list[FeatureSpec], int]:
    """Encode what the store lacks; return how the features are made, and how many were new."""
    if encoder.noted is not None:
        specs = to_specs(encoder.noted)
        with store.writing():
            if not find_lacking(store, inputs, specs):
                return specs, 0
    from oragen.features.extraction import extract  # which loads torch

    specs = to_specs(encoder.described)
    num_new = extract(
        store, inputs, encoder.loaded, specs, batch_size=batch_size, part_bytes=part_bytes
    )
    return specs, num_new


def batch_size_of(params: Params, modality: Modality) -> int:
    """Return how many inputs are encoded together: of stretches, as much sound as of windows."""
    wanted = params.features.of(modality)
    if modality == "face" or params.features.audio.span == "window":
        return wanted.batch_size
    return max(
        1, round(wanted.batch_size * params.windows.length_s / params.features.audio.stretch_s)
    )


def to_row(features: Located, spec: FeatureSpec, folder: Path) -> dict[str, object]:
    """Name the features of one window or crop at one level."""
    following = features.next_input
    return {
        "key": features.key,
        "level": spec.level,
        "feature_key": spec.key_of(features.input),
        "store": str(folder),
        "next_feature_key": None if following is None else spec.key_of(following),
        "first": features.first,
        "num_positions": features.num_positions,
    }
