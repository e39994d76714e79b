"""Waveforms -> gender, age and mask type of the speaker."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from transformers import PreTrainedModel

from oragen.models.layers import hide_invalid
from oragen.models.output import HeadOutput
from oragen.models.unimodal.audio_pooling import MeanPooling, TransformerPooling
from oragen.models.unimodal.front_end import (
    WHISPER,
    count_steps,
    hides_padding,
    normalises_over_time,
    samples_of_one_step,
    takes_spectrograms,
)
from oragen.models.unimodal.output_layers import OutputLayers


class UnimodalAudioModel(nn.Module):
    """A speech transformer, pooling over time, and output layers.

    Most encoders take waveforms, `batch x samples`. Whisper takes spectrograms of 30 s, `batch x
    bands x columns`, and w2v-BERT 2.0 `batch x audio frames x bands`; there `valid` has a place for
    each audio frame.

    All methods take waveforms, and optionally `valid`: True over the real samples, which come
    first in a row. The padding behind them then does not reach the output. Without `valid` all
    samples count, as in the published models.

    Some encoders cannot hide padding (wav2vec2-base, data2vec; see `hides_padding`). In evaluation
    they take the rows of each length in a pass of its own, and no padding reaches their output. In
    training they take a batch in one pass, as in their pretraining, and some does: wav2vec2-base
    hears zeros, and data2vec a trace of them near the end. For rows alone may be shorter than what
    the training of an encoder hides at a time.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        pooling: TransformerPooling | MeanPooling,
        output_layers: OutputLayers,
    ) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.summary = pooling  # both are names in saved files, see `state_dict`
        self.decisions = output_layers

    def forward(
        self,
        waveforms: Float[Tensor, "batch ..."],
        valid: Bool[Tensor, "batch _"] | None = None,
    ) -> HeadOutput:
        output: HeadOutput = self.decisions(self.late(waveforms, valid))
        return output

    def early(
        self,
        waveforms: Float[Tensor, "batch samples"],
        valid: Bool[Tensor, "batch samples"] | None = None,
    ) -> Float[Tensor, "batch channels steps"]:
        """Return the output of the front end for waveforms, 512 channels every 20 ms."""
        waveforms = self._hide_invalid_samples(waveforms, valid)
        return self.encoder.get_submodule("feature_extractor")(waveforms)  # type: ignore[no-any-return]

    def intermediate(
        self,
        waveforms: Float[Tensor, "batch ..."],
        valid: Bool[Tensor, "batch _"] | None = None,
    ) -> Float[Tensor, "batch steps width"]:
        """Return the encoder's last hidden states."""
        config = self.encoder.config
        if takes_spectrograms(config):
            steps_valid = None if valid is None else self.steps_valid(valid).long()
            return self.encoder(waveforms, attention_mask=steps_valid).last_hidden_state  # type: ignore[no-any-return]
        waveforms = self._hide_invalid_samples(waveforms, valid)
        mask: Tensor | None = None
        if valid is not None:
            if not (self.training or hides_padding(config)):
                return self._encode_by_length(waveforms, self._num_valid_samples(valid))
            mask = None if normalises_over_time(config) else self._encoder_mask(valid)
        return self.encoder(waveforms, attention_mask=mask).last_hidden_state  # type: ignore[no-any-return]

    def late(
        self,
        waveforms: Float[Tensor, "batch ..."],
        valid: Bool[Tensor, "batch _"] | None = None,
    ) -> Float[Tensor, "batch pooled_width"]:
        """Return the pooled vector, the input of the output layers."""
        steps = self.intermediate(waveforms, valid)
        return self.summary(steps, None if valid is None else self.steps_valid(valid))  # type: ignore[no-any-return]

    def steps_valid(self, valid: Bool[Tensor, "batch _"]) -> Bool[Tensor, "batch steps"]:
        """Return which audio frames are of real samples; the first always counts."""
        config = self.encoder.config
        if takes_spectrograms(config):
            return _first(valid.sum(dim=1).clamp(min=1), length=valid.shape[1])
        num_valid = count_steps(config, self._num_valid_samples(valid))
        return _first(num_valid, length=count_steps(config, valid.shape[1]))

    def freeze_front_end(self) -> None:
        """Train no weights of the convolutions, as the published training; w2v-BERT has none.

        Nor the positions of Whisper, which are sinusoids.
        """
        if takes_spectrograms(self.encoder.config):
            parts = ("conv1", "conv2", "embed_positions")
            for name in parts if self.encoder.config.model_type == WHISPER else ():
                self.encoder.get_submodule(name).requires_grad_(False)
            return
        front_end = self.encoder.get_submodule("feature_extractor")
        front_end._freeze_parameters()  # HuBERT has no public way

    def _hide_invalid_samples(self, waveforms: Tensor, valid: Tensor | None) -> Tensor:
        if waveforms.shape[1] < (fewest := samples_of_one_step(self.encoder.config)):
            raise ValueError(
                f"A waveform must have at least {fewest} samples for this encoder, found "
                f"{waveforms.shape[1]}. Pad it."
            )
        return waveforms if valid is None else hide_invalid(waveforms, valid)

    def _encode_by_length(
        self, waveforms: Float[Tensor, "batch samples"], num_valid: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch steps width"]:
        """Encode all rows of one length together; steps of the padding are zeros."""
        config = self.encoder.config
        num_steps = count_steps(config, waveforms.shape[1])
        steps = waveforms.new_zeros(len(waveforms), num_steps, config.hidden_size)
        for length in num_valid.unique().tolist():
            rows = num_valid == length
            encoded = self.encoder(waveforms[rows, :length]).last_hidden_state
            steps[rows, : encoded.shape[1]] = encoded.to(steps.dtype)
        return steps

    def _encoder_mask(self, valid: Bool[Tensor, "batch samples"]) -> Int64[Tensor, "batch samples"]:
        return _first(self._num_valid_samples(valid), length=valid.shape[1]).long()

    def _num_valid_samples(self, valid: Bool[Tensor, "batch samples"]) -> Int64[Tensor, " batch"]:
        return valid.sum(dim=1).clamp(min=samples_of_one_step(self.encoder.config))


def _first(counts: Int64[Tensor, " batch"], *, length: int) -> Bool[Tensor, "batch length"]:
    """Make rows that are True in their first `counts` places."""
    return torch.arange(length, device=counts.device) < counts[:, None]
