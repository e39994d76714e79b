"""The name of a speech encoder -> the encoder, or one sentence on why it cannot be loaded."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
from transformers import (
    AutoFeatureExtractor,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from oragen.encoders.audio import AudioEncoder
from oragen.encoders.embedded_audio import design_wav2vec2
from oragen.encoders.errors import EncoderError, explained
from oragen.encoders.files import check_preparation, check_preparation_files
from oragen.encoders.layers import Layers, choose_layers
from oragen.encoders.levels import INTERMEDIATE
from oragen.encoders.sounds import Extractor, FeatureExtractor, PublishedInput
from oragen.encoders.source import (
    load_complete,
    load_finetuned,
    refuse_late,
    refuse_useless,
)
from oragen.encoders.speaker import SpeakerEncoder, load_speaker_encoder
from oragen.models.encoder_configs import SPEECH_TYPES
from oragen.models.unimodal import SavedUnimodal, UnimodalAudioModel
from oragen.models.unimodal.front_end import (
    COLUMNS_A_STEP,
    HOP_SAMPLES,
    W2V_BERT,
    WHISPER,
    longest_input,
)
from oragen.models.unimodal.input import SoundInput, check_input
from oragen.schema.choices.encoders import EMBEDDED, RESEMBLYZER
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Level, Precision

# Of networks that take spectrograms; all others take waveforms.
EXTRACTORS: Final[dict[str, type[FeatureExtractor]]] = {
    WHISPER: WhisperFeatureExtractor,
    W2V_BERT: SeamlessM4TFeatureExtractor,
}


def load_any_audio_encoder(
    source: str,
    revision: str | None = None,
    *,
    precision: Precision = "fp32",
    levels: Collection[Level] = (INTERMEDIATE,),
    layers: Layers = "last",
) -> AudioEncoder | SpeakerEncoder:
    """Load the network of the source `resemblyzer`, or else as `load_audio_encoder` does.

    Raises:
        EncoderError: it cannot be loaded, is no speech encoder, or lacks a level or a layer.
        PackageError: the package Resemblyzer is not installed.
    """
    if source == RESEMBLYZER:
        return load_speaker_encoder(revision, precision=precision, levels=levels, layers=layers)
    return load_audio_encoder(source, revision, precision=precision, levels=levels, layers=layers)


def load_audio_encoder(
    source: str,
    revision: str | None = None,
    *,
    precision: Precision = "fp32",
    levels: Collection[Level] = (INTERMEDIATE,),
    layers: Layers = "last",
) -> AudioEncoder:
    """Load a speech encoder from the hub, from a folder, or the `embedded` one.

    The folder may hold an encoder alone, or a unimodal model: one fine-tuned here, or converted
    from a published checkpoint. `levels` are those that will be computed, and `layers` what of
    the hidden layers `intermediate` and `pooled` are made of, see `choose_layers`.

    Raises:
        EncoderError: it cannot be loaded, is no speech encoder, or lacks a level or a layer.
    """
    if source == RESEMBLYZER:
        raise EncoderError(
            f"Encoder {source!r} is no speech transformer and cannot be fine-tuned. Take it out of "
            "`encoders.finetune`: its features are used as they come."
        )
    model, extractor = _load(source, revision, levels)
    network = model.encoder if isinstance(model, UnimodalAudioModel) else model
    chosen = choose_layers(source, layers, network.config.num_hidden_layers)
    encoder = AudioEncoder(model, extractor, precision, chosen)
    if source != EMBEDDED and not isinstance(extractor, PublishedInput):
        _try_out(source, encoder)
    return encoder


def _load(
    source: str, revision: str | None, levels: Collection[Level]
) -> tuple[PreTrainedModel | UnimodalAudioModel, Extractor]:
    if saved := load_finetuned(source):
        return _from_finetuned(source, saved)
    refuse_late(source, levels)
    if source == EMBEDDED:
        return design_wav2vec2(), Wav2Vec2FeatureExtractor(return_attention_mask=True)
    model = load_complete(source, revision)
    if model.config.model_type not in SPEECH_TYPES:
        raise EncoderError(
            f"Encoder {source!r} is a {model.config.model_type}; expected a speech transformer "
            f"({', '.join(SPEECH_TYPES)})."
        )
    return model, _load_extractor(source, revision, model)


def _from_finetuned(source: str, saved: SavedUnimodal) -> tuple[UnimodalAudioModel, Extractor]:
    if not isinstance(saved.model, UnimodalAudioModel):
        raise EncoderError(f"Encoder {source!r} is a model of faces; expected one of voices.")
    if "input" in saved.metadata:
        found = check_input(Path(source), SoundInput, saved.metadata)
        prepared = PublishedInput(order=found.waveform_order, min_samples=found.min_samples)
        return saved.model, prepared
    return saved.model, _load_extractor(source, None, saved.model.encoder)


def _load_extractor(
    source: str, revision: str | None, network: PreTrainedModel
) -> FeatureExtractor:
    expected = EXTRACTORS.get(network.config.model_type, Wav2Vec2FeatureExtractor)
    with explained(source, revision):
        check_preparation_files(source, revision)
        extractor = AutoFeatureExtractor.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    if not isinstance(extractor, expected) or extractor.sampling_rate != SAMPLE_RATE_HZ:
        raise EncoderError(
            f"Encoder {source!r} prepares sound by a {type(extractor).__name__}, expected a "
            f"{expected.__name__} at {SAMPLE_RATE_HZ} Hz. Name another encoder."
        )
    check_preparation(source, json.loads(extractor.to_json_string()))
    _refuse_other_frames(source, network, extractor)
    return extractor


def _refuse_other_frames(
    source: str, network: PreTrainedModel, extractor: FeatureExtractor
) -> None:
    """Refuse audio frames that are not of 20 ms, where they follow from a spectrogram."""
    match extractor:
        case WhisperFeatureExtractor():
            _refuse_other_spectrograms(source, network, extractor)
            found = (extractor.hop_length, COLUMNS_A_STEP)
        case SeamlessM4TFeatureExtractor():
            found = (HOP_SAMPLES, extractor.stride)
            if network.config.add_adapter:
                raise EncoderError(
                    f"Encoder {source!r} has an adapter (`add_adapter` in its config.json), which "
                    "merges audio frames; expected none. Name another encoder."
                )
        case _:
            return
    if found != (HOP_SAMPLES, COLUMNS_A_STEP):
        raise EncoderError(
            f"Encoder {source!r} makes an audio frame of {found[1]} columns every {found[0]} "
            f"samples, expected {COLUMNS_A_STEP} every {HOP_SAMPLES}. Name another encoder."
        )


def _refuse_other_spectrograms(
    source: str, network: PreTrainedModel, extractor: WhisperFeatureExtractor
) -> None:
    """Refuse spectrograms that Whisper does not take, before one is made, and random ones."""
    expected = (longest_input(network.config), network.config.num_mel_bins)
    if (found := (extractor.n_samples, extractor.feature_size)) != expected:
        raise EncoderError(
            f"Encoder {source!r} takes spectrograms of {expected[1]} bands and {expected[0]} "
            f"samples, and its preprocessor_config.json makes them of {found[1]} bands "
            f"(feature_size) and {found[0]} samples (chunk_length x {SAMPLE_RATE_HZ}). Fetch it "
            "again, or name another encoder."
        )
    if extractor.dither:
        raise EncoderError(
            f"Encoder {source!r} adds noise to sound, and each run would give other features: "
            f"dither in its preprocessor_config.json is {extractor.dither:g}, expected 0. Set it "
            "to 0, or name another encoder."
        )


def _try_out(source: str, encoder: AudioEncoder) -> None:
    """Encode a second of silence: a network and a preparation may not fit each other."""
    with explained(source, None):
        [steps] = encoder.encode([np.zeros(SAMPLE_RATE_HZ, np.int16)])
        refuse_useless(source, steps)
