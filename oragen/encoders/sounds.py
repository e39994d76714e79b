"""Waveforms of any lengths -> batches as a speech transformer takes them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float32, Int16
from transformers import (
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from oragen.encoders.errors import EncoderError
from oragen.media.samples import to_floats
from oragen.models.unimodal import Waveforms, prepare_waveforms
from oragen.models.unimodal.front_end import COLUMNS_A_STEP, MIN_W2V_BERT_SAMPLES, STEP_SAMPLES
from oragen.models.unimodal.waveforms import Order
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

Sound = Int16[np.ndarray, " _"] | Float32[np.ndarray, " _"]  # the floats in -1..1
FeatureExtractor: TypeAlias = (
    Wav2Vec2FeatureExtractor | WhisperFeatureExtractor | SeamlessM4TFeatureExtractor
)


@dataclass(frozen=True)
class PublishedInput:
    """The input of a published model, padded to a least length; the padding counts as sound."""

    order: Order
    min_samples: int

    def as_metadata(self) -> dict[str, str | int]:
        """Return it as it is saved in a model's folder, see `load_audio_encoder`."""
        return {"waveform_order": self.order, "min_samples": self.min_samples}


Extractor: TypeAlias = FeatureExtractor | PublishedInput


def prepare_sounds(extractor: Extractor, waveforms: Sequence[Sound]) -> Waveforms:
    """Waveforms of any lengths -> one batch at the scale the encoder was trained with.

    Raises:
        EncoderError: Whisper cannot take a waveform, since it is too long.
    """
    floats = [to_floats(waveform) for waveform in waveforms]
    match extractor:
        case PublishedInput():
            samples, _ = prepare_waveforms(floats, **asdict(extractor))
            return Waveforms(samples, torch.ones_like(samples, dtype=torch.bool))
        case WhisperFeatureExtractor():
            return _prepare_for_whisper(extractor, floats)
        case _ if is_plain(extractor):
            return prepare_waveforms(floats, min_samples=0)  # the same in a third of the time
    if isinstance(extractor, SeamlessM4TFeatureExtractor):
        floats = [_lengthen(sound, MIN_W2V_BERT_SAMPLES) for sound in floats]
    padded = extractor(
        floats,
        sampling_rate=SAMPLE_RATE_HZ,
        padding="longest",
        return_attention_mask=True,
        return_tensors="pt",
    )
    return Waveforms(padded[extractor.model_input_names[0]], padded.attention_mask.bool())


def _lengthen(sound: Float32[np.ndarray, " _"], num_samples: int) -> Float32[np.ndarray, " _"]:
    """Put silence behind what is too short for an audio frame."""
    return np.pad(sound, (0, max(0, num_samples - len(sound))))


def _prepare_for_whisper(
    extractor: WhisperFeatureExtractor, floats: Sequence[np.ndarray]
) -> Waveforms:
    """Make spectrograms of 30 s, silence behind the sound; frames of sound alone are valid."""
    longest = max(map(len, floats))
    if longest > extractor.n_samples:
        raise EncoderError(
            f"Whisper takes {extractor.n_samples / SAMPLE_RATE_HZ:g} s at a time, found "
            f"{longest / SAMPLE_RATE_HZ:g} s. Lower `windows.length_s` in params.yaml."
        )
    columns = extractor(
        floats, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
    ).input_features  # batch, band, column
    num_steps = torch.tensor([len(sound) // STEP_SAMPLES for sound in floats])
    places = torch.arange(columns.shape[2] // COLUMNS_A_STEP)
    return Waveforms(columns, places < num_steps[:, None])


def is_plain(extractor: Extractor) -> bool:
    """Return whether sound is normalised, then padded with zeros: as most encoders want it."""
    return (
        isinstance(extractor, Wav2Vec2FeatureExtractor)
        and extractor.do_normalize
        and extractor.padding_value == 0
        and extractor.padding_side == "right"
    )


def split_sound(waveform: Sound, longest: int | None) -> list[Sound]:
    """Cut a waveform that is too long for a network into pieces; None: nothing is too long."""
    if longest is None or len(waveform) <= longest:
        return [waveform]
    pieces = [waveform[start : start + longest] for start in range(0, len(waveform), longest)]
    return [piece for piece in pieces if len(piece) >= STEP_SAMPLES]


class PreparedSounds(NamedTuple):
    """Waveforms as the network takes them, in one batch or in several."""

    batches: list[Waveforms]  # several: of one length each, see `AudioEncoder.prepare`
    num_samples: list[int]  # of each piece of a waveform, in order
    num_pieces: list[int]  # of each waveform, see `split_sound`
