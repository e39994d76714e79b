"""Waveforms -> the last hidden states of a frozen speech transformer, one every 20 ms."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn
from transformers import AutoFeatureExtractor, PreTrainedModel, Wav2Vec2FeatureExtractor

from oragen.encoders.embedded_audio import design_wav2vec2
from oragen.encoders.source import (
    EMBEDDED,
    EncoderError,
    Precision,
    autocast,
    explained,
    fingerprint,
    load_complete,
)
from oragen.schema import SAMPLE_RATE_HZ


class AudioEncoder(nn.Module):
    """A frozen wav2vec 2.0, HuBERT or WavLM.

    A waveform is brought to zero mean and unit variance over its real samples, then padded with
    zeros; the network gets an attention mask where it was trained with one.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        extractor: Wav2Vec2FeatureExtractor,
        precision: Precision = "fp32",
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.extractor = extractor
        self.precision: Precision = precision
        self.width: int = model.config.hidden_size

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and the architecture."""
        return fingerprint(self.model)

    def num_steps(self, num_samples: int) -> int:
        """Return how many audio frames so many samples give: 199 for 4 s."""
        strides = zip(self.model.config.conv_kernel, self.model.config.conv_stride, strict=True)
        for kernel, stride in strides:
            num_samples = (num_samples - kernel) // stride + 1
        return max(0, num_samples)

    @torch.inference_mode()
    def forward(
        self, waveforms: Sequence[Int16[np.ndarray, "..."]]
    ) -> Float[Tensor, "batch steps width"]:
        """Encode waveforms of any lengths; row i has `num_steps(len(waveforms[i]))` real steps."""
        floats = [waveform.astype(np.float32) / 2**15 for waveform in waveforms]
        padded = self.extractor(
            floats,
            sampling_rate=SAMPLE_RATE_HZ,
            padding="longest",
            return_attention_mask=True,
            return_tensors="pt",
        )
        device = self.model.device
        with_mask = self.extractor.return_attention_mask
        with autocast(device, self.precision):
            output: Tensor = self.model(
                padded.input_values.to(device),
                attention_mask=padded.attention_mask.to(device) if with_mask else None,
            ).last_hidden_state
        return output.float()

    def encode(self, waveforms: list[np.ndarray]) -> list[np.ndarray]:
        """Encode waveforms (int16, any lengths) -> `steps x width` of each, without padding.

        What a waveform gives does not depend on the others: a network that takes no attention
        mask would hear the padding, so it gets different lengths one after the other.
        """
        if self.extractor.return_attention_mask:
            return self._encode_padded(waveforms)
        batches = [list(batch) for _, batch in groupby(waveforms, key=len)]
        return [row for batch in batches for row in self._encode_padded(batch)]

    def _encode_padded(self, waveforms: list[np.ndarray]) -> list[np.ndarray]:
        embeddings = self(waveforms).cpu().numpy()
        steps = [self.num_steps(len(waveform)) for waveform in waveforms]
        return [row[:count] for row, count in zip(embeddings, steps, strict=True)]


def load_audio_encoder(
    source: str, revision: str | None = None, *, precision: Precision = "fp32"
) -> AudioEncoder:
    """Load a speech encoder from the hub, from a folder, or the `embedded` one.

    Raises:
        EncoderError: when it cannot be had or is no speech encoder.
    """
    if source == EMBEDDED:
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        return AudioEncoder(design_wav2vec2(), extractor, precision)
    model = load_complete(source, revision)
    if not hasattr(model.config, "conv_stride"):
        raise EncoderError(
            f"Encoder {source!r} is a {model.config.model_type}; expected a speech transformer "
            "with a convolutional front end (wav2vec2, hubert, wavlm)."
        )
    with explained(source, revision):
        extractor = AutoFeatureExtractor.from_pretrained(source, revision=revision)
    return AudioEncoder(model, extractor, precision)


def save_encoder(encoder: AudioEncoder, folder: Path) -> None:
    """Write an encoder so that `load_audio_encoder(folder)` gives it back."""
    encoder.model.save_pretrained(folder)
    encoder.extractor.save_pretrained(folder)
