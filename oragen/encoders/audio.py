"""Waveforms -> what a frozen speech transformer makes of them, mostly one row every 20 ms."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int16
from torch import Tensor, nn
from transformers import AutoFeatureExtractor, PreTrainedModel, Wav2Vec2FeatureExtractor

from oragen.encoders.embedded_audio import design_wav2vec2
from oragen.encoders.fingerprint import fingerprint
from oragen.encoders.source import (
    EMBEDDED,
    EncoderError,
    autocast,
    explained,
    load_complete,
    load_finetuned,
    refuse_late,
)
from oragen.schema import SAMPLE_RATE_HZ, Level, Precision
from oragen.unimodal import SavedUnimodal, UnimodalAudioModel, Waveforms, prepare_waveforms
from oragen.unimodal.waveforms import Order

Sound = Int16[np.ndarray, " _"] | Float32[np.ndarray, " _"]  # the floats in -1..1


@dataclass(frozen=True)
class PublishedInput:
    """How a published model hears: windows of one length, whose padding is part of the sound."""

    order: Order
    min_samples: int

    def as_metadata(self) -> dict[str, str | int]:
        """Return what a model's folder says of it, see `load_audio_encoder`."""
        return {"waveform_order": self.order, "min_samples": self.min_samples}


def prepare_sounds(
    extractor: Wav2Vec2FeatureExtractor | PublishedInput, waveforms: Sequence[Sound]
) -> Waveforms:
    """Waveforms of any lengths -> one batch at the scale the encoder was trained with."""
    floats = [_to_floats(waveform) for waveform in waveforms]
    if isinstance(extractor, PublishedInput):
        samples, _ = prepare_waveforms(floats, **asdict(extractor))
        return Waveforms(samples, torch.ones_like(samples, dtype=torch.bool))
    padded = extractor(
        floats,
        sampling_rate=SAMPLE_RATE_HZ,
        padding="longest",
        return_attention_mask=True,
        return_tensors="pt",
    )
    return Waveforms(padded.input_values, padded.attention_mask.bool())


def _to_floats(waveform: Sound) -> Float32[np.ndarray, " _"]:
    floats = waveform.astype(np.float32)
    return floats / 2**15 if waveform.dtype == np.int16 else floats


class AudioEncoder(nn.Module):
    """A frozen wav2vec 2.0, HuBERT or WavLM.

    A waveform is brought to zero mean and unit variance over its real samples, then padded with
    zeros; the network gets an attention mask where it was trained with one.

    Args:
        model: the network; of a unimodal model only the encoder is kept, but for `late`.
        extractor: how waveforms are prepared.
        precision: in which it computes.
        level: `early`, what enters the transformer (512 channels of the convolutions);
            `intermediate`, its last hidden states; `late`, the vector a unimodal model decides by.
    """

    def __init__(
        self,
        model: PreTrainedModel | UnimodalAudioModel,
        extractor: Wav2Vec2FeatureExtractor | PublishedInput,
        precision: Precision = "fp32",
        level: Level = "intermediate",
    ) -> None:
        super().__init__()
        if isinstance(model, UnimodalAudioModel) and level != "late":
            model = model.encoder
        assert level != "late" or isinstance(model, UnimodalAudioModel)
        self.model = model.eval().requires_grad_(False)
        self.extractor = extractor
        self.precision: Precision = precision
        self.level: Level = level

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, the architecture and the preparation of the waveforms."""
        if isinstance(self.extractor, PublishedInput):
            return fingerprint(self.model, asdict(self.extractor))
        return fingerprint(self.model, json.loads(self.extractor.to_json_string()))

    @property
    def network(self) -> PreTrainedModel:
        """The encoder alone, without what a unimodal model puts on it."""
        return self.model.encoder if isinstance(self.model, UnimodalAudioModel) else self.model

    @property
    def width(self) -> int:
        """Size of a row."""
        if isinstance(self.model, UnimodalAudioModel):
            return self.model.summary.width
        config = self.model.config
        width: int = config.conv_dim[-1] if self.level == "early" else config.hidden_size
        return width

    def num_steps(self, num_samples: int) -> int:
        """Return how many rows so many samples give: 199 for 4 s, and 1 at the level `late`."""
        if self.level == "late":
            return 1
        num_samples = self._num_heard(num_samples)
        config = self.network.config
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            num_samples = (num_samples - kernel) // stride + 1
        return max(0, num_samples)

    def feature_shape(self, num_samples: int) -> tuple[int, int]:
        """Return the rows and the width of what so many samples give."""
        return self.num_steps(num_samples), self.width

    @torch.inference_mode()
    def forward(self, waveforms: Sequence[Sound]) -> Float[Tensor, "batch steps width"]:
        """Encode waveforms of any lengths; row i has `num_steps(len(waveforms[i]))` real steps."""
        sounds = prepare_sounds(self.extractor, waveforms)
        device = self.network.device
        with autocast(device, self.precision):
            return self._features(sounds.samples.to(device), sounds.valid.to(device)).float()

    def encode(self, waveforms: list[np.ndarray]) -> list[np.ndarray]:
        """Encode waveforms (int16, any lengths) -> `steps x width` of each, without padding.

        What a waveform gives does not depend on the others: a network that takes no attention
        mask would hear the padding, so it gets different lengths one after the other.
        """
        if self._takes_mask:
            return self._encode_padded(waveforms)
        lengths = groupby(waveforms, key=lambda waveform: self._num_heard(len(waveform)))
        return [row for _, batch in lengths for row in self._encode_padded(list(batch))]

    @property
    def _takes_mask(self) -> bool:
        """Tell whether padding can be kept from the network: not from a norm over all time."""
        if isinstance(self.extractor, PublishedInput):
            return False
        norm = getattr(self.network.config, "feat_extract_norm", "layer")  # data2vec has no choice
        return bool(self.extractor.return_attention_mask) and norm == "layer"

    def _num_heard(self, num_samples: int) -> int:
        if isinstance(self.extractor, PublishedInput):
            return max(num_samples, self.extractor.min_samples)
        return num_samples

    def _features(
        self, samples: Float[Tensor, "batch samples"], valid: Bool[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch steps width"]:
        if isinstance(self.model, UnimodalAudioModel):
            return self.model.features(samples, valid, level=self.level)
        if self.level == "early":
            channels: Float[Tensor, "batch channels steps"] = self.model.get_submodule(
                "feature_extractor"
            )(samples)
            return channels.transpose(1, 2)
        mask = valid.long() if self._takes_mask else None
        steps: Tensor = self.model(samples, attention_mask=mask).last_hidden_state
        return steps

    def _encode_padded(self, waveforms: list[np.ndarray]) -> list[np.ndarray]:
        embeddings = self(waveforms).cpu().numpy()
        steps = [self.num_steps(len(waveform)) for waveform in waveforms]
        return [row[:count] for row, count in zip(embeddings, steps, strict=True)]


def load_audio_encoder(
    source: str,
    revision: str | None = None,
    *,
    precision: Precision = "fp32",
    level: Level = "intermediate",
) -> AudioEncoder:
    """Load a speech encoder from the hub, from a folder, or the `embedded` one.

    The folder may hold an encoder alone, or a unimodal model: one fine-tuned here, or converted
    from a published checkpoint.

    Raises:
        EncoderError: when it cannot be had, is no speech encoder, or lacks the level.
    """
    if saved := load_finetuned(source):
        return _from_finetuned(source, saved, precision, level)
    refuse_late(source, level)
    if source == EMBEDDED:
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        return AudioEncoder(design_wav2vec2(), extractor, precision, level)
    model = load_complete(source, revision)
    if not hasattr(model.config, "conv_stride"):
        raise EncoderError(
            f"Encoder {source!r} is a {model.config.model_type}; expected a speech transformer "
            "with a convolutional front end (wav2vec2, hubert, wavlm)."
        )
    with explained(source, revision):
        extractor = AutoFeatureExtractor.from_pretrained(source, revision=revision)
    return AudioEncoder(model, extractor, precision, level)


def _from_finetuned(
    source: str, saved: SavedUnimodal, precision: Precision, level: Level
) -> AudioEncoder:
    if not isinstance(saved.model, UnimodalAudioModel):
        raise EncoderError(f"Encoder {source!r} is a model of faces; expected one of voices.")
    return AudioEncoder(saved.model, _load_input(source, saved.metadata), precision, level)


def _load_input(source: str, metadata: dict[str, Any]) -> Wav2Vec2FeatureExtractor | PublishedInput:
    if "input" in metadata:
        wanted = metadata["input"]
        return PublishedInput(order=wanted["waveform_order"], min_samples=wanted["min_samples"])
    with explained(source, None):
        extractor: Wav2Vec2FeatureExtractor = AutoFeatureExtractor.from_pretrained(source)
    return extractor
