"""What the two extraction stages share: encode what is missing, and say which rows are in use."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
from oragen.schema.vocabulary import LEVELS_OF_LAYERS, Level, Modality, Skipped
from oragen.store.parts import PartStore
from stages.launching import may_launch_encoders
from stages.running import account, refuse_failures


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
    layers = params.features.audio.layers if modality == "audio" else "last"
    return EncoderUse(
        modality, *origin, wanted.precision, params.features.levels, num_samples, layers
    )


def make_specs(
    params: Params,
    modality: Modality,
    fingerprint_of: Callable[[Level], str],
    shape_of: Callable[[Level], tuple[int, int]],
    stretching: Stretching | None = None,
    layers: tuple[int, ...] | None = None,
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
            layers=layers if level in LEVELS_OF_LAYERS else None,
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


class Extraction(NamedTuple):
    """What is to be encoded of a corpus, and by what."""

    encoder: LateEncoder  # it is loaded if something is to be encoded, or nothing is known of it
    windows: pd.DataFrame  # all of the corpus
    inputs: Sequence[FeatureInput]  # those the store knows are not read
    stretching: Stretching | None = None  # how sound was cut into stretches, if it was
    located: Sequence[Located] | None = None  # each window's features; None: inputs are windows

    @property
    def modality(self) -> Modality:
        """Of the encoder."""
        return self.encoder.use.modality

    def open_store(self, params: Params, corpus: str) -> PartStore:
        """Return where the features of a corpus are."""
        encoder = params.features.of(self.modality).encoder
        return PartStore(paths.feature_store(corpus, encoder), "zarr")

    def make_specs(self, params: Params, note: EncoderNote) -> list[FeatureSpec]:
        """Say what the features of each level are."""
        fingerprint_of, shape_of = note.fingerprints.__getitem__, note.shapes.__getitem__
        return make_specs(
            params, self.modality, fingerprint_of, shape_of, self.stretching, note.layers
        )


def extract_corpus(
    stage: str, corpus: str, params: Params, extraction: Extraction, *, without: str
) -> None:
    """Encode a corpus' inputs, write the table of the rows in use, and account for its clips.

    Args:
        stage: its name.
        corpus: its name.
        params: all parameters.
        extraction: what is to be encoded.
        without: why a clip has no input.

    Raises:
        UserError: some inputs could not be encoded, because their worker ended each time.
    """
    store = extraction.open_store(params, corpus)
    specs, num_new, failures = encode_corpus(stage, corpus, params, extraction, store)
    inputs = [item for item in extraction.inputs if item.key not in failures]
    located = extraction.located
    if located is None:
        located = [Located(key, key) for key in dict.fromkeys(item.key for item in inputs)]
    rows = FEATURE_ROWS.frame(
        [
            to_row(features, spec, store.folder)
            for features in located
            if not {features.input, features.next_input} & failures.keys()
            for spec in specs
        ]
    )
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, extraction.modality), rows)
    PLACES.write(paths.places_table(corpus, extraction.modality), list_places(rows))
    clips, used = {*extraction.windows["clip_id"]}, {item.clip_id for item in inputs}
    lost = {item.clip_id: failures[item.key] for item in extraction.inputs if item.key in failures}
    failed = [
        Skipped(clip, stage, reason, "part" if clip in used else "clip")
        for clip, reason in sorted(lost.items())
    ]
    bare = sorted(clips - used - lost.keys())
    account(
        stage,
        corpus,
        clips_in=extraction.windows["clip_id"],
        clips_out=used,
        skipped=[*(Skipped(clip, stage, without) for clip in bare), *failed],
        made=f"{len(extraction.windows)} windows in, {len(rows)} feature rows, "
        f"{num_new} encoded now",
    )
    refuse_failures(stage, corpus, failed)


def encode_corpus(
    stage: str, corpus: str, params: Params, extraction: Extraction, store: PartStore
) -> tuple[list[FeatureSpec], int, Mapping[str, str]]:
    """Encode what the store lacks, here or by other processes.

    Returns how the features are made, how many inputs were new, and why others have no row.
    """
    to_specs = partial(extraction.make_specs, params)
    batch_size = batch_size_of(params, extraction.modality)
    if may_launch_encoders(params.execution):
        from stages.launching import encode_by_launcher

        return encode_by_launcher(stage, corpus, params, extraction, store)
    specs, num_new = encode_lacking(
        store,
        extraction.inputs,
        extraction.encoder,
        to_specs,
        batch_size=batch_size,
        part_bytes=params.execution.part_bytes,
    )
    return specs, num_new, {}


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
