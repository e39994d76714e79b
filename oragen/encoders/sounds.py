"""Waveforms of any lengths -> batches at the scale that a speech transformer takes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int16
from transformers import Wav2Vec2FeatureExtractor

from oragen.media.samples import to_floats
from oragen.models.unimodal import Waveforms, prepare_waveforms
from oragen.models.unimodal.waveforms import Order
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

Sound = Int16[np.ndarray, " _"] | Float32[np.ndarray, " _"]  # the floats in -1..1


@dataclass(frozen=True)
class PublishedInput:
    """The input of a published model, padded to a least length; the padding counts as sound."""

    order: Order
    min_samples: int

    def as_metadata(self) -> dict[str, str | int]:
        """Return it as it is saved in a model's folder, see `load_audio_encoder`."""
        return {"waveform_order": self.order, "min_samples": self.min_samples}


def prepare_sounds(
    extractor: Wav2Vec2FeatureExtractor | PublishedInput, waveforms: Sequence[Sound]
) -> Waveforms:
    """Waveforms of any lengths -> one batch at the scale the encoder was trained with."""
    floats = [to_floats(waveform) for waveform in waveforms]
    if isinstance(extractor, PublishedInput):
        samples, _ = prepare_waveforms(floats, **asdict(extractor))
        return Waveforms(samples, torch.ones_like(samples, dtype=torch.bool))
    if is_plain(extractor):
        return prepare_waveforms(floats, min_samples=0)  # the same in a third of the time
    padded = extractor(
        floats,
        sampling_rate=SAMPLE_RATE_HZ,
        padding="longest",
        return_attention_mask=True,
        return_tensors="pt",
    )
    return Waveforms(padded.input_values, padded.attention_mask.bool())


def is_plain(extractor: Wav2Vec2FeatureExtractor | PublishedInput) -> bool:
    """Return whether sound is normalised, then padded with zeros: as all known encoders want it."""
    return (
        isinstance(extractor, Wav2Vec2FeatureExtractor)
        and extractor.do_normalize
        and extractor.padding_value == 0
        and extractor.padding_side == "right"
    )


class PreparedSounds(NamedTuple):
    """Waveforms as the network takes them, in one batch or in several."""

    batches: list[Waveforms]  # several: of one length each, see `AudioEncoder.prepare`
    num_samples: list[int]  # of each waveform, in order
