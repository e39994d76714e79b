"""Waveforms -> embeddings of a frozen speech transformer, at most levels one row every 20 ms."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from typing import assert_never

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import PreTrainedModel, SeamlessM4TFeatureExtractor

from oragen.encoders.computing import keep_steps_together, to_bf16
from oragen.encoders.copying import Returning, pin, send
from oragen.encoders.fingerprint import fingerprint
from oragen.encoders.layers import join_layers
from oragen.encoders.levels import (
    Launched,
    Rows,
    autocast,
    choose_rows,
    keep_output,
    round_rows,
    type_to_copy,
    unpooled,
)
from oragen.encoders.sounds import (
    Extractor,
    PreparedSounds,
    PublishedInput,
    Sound,
    is_plain,
    prepare_sounds,
    split_sound,
)
from oragen.models.unimodal import UnimodalAudioModel, Waveforms
from oragen.models.unimodal.front_end import (
    MIN_W2V_BERT_SAMPLES,
    count_steps,
    hides_padding,
    longest_input,
    samples_between_steps,
    samples_of_one_step,
    takes_spectrograms,
)
from oragen.models.unimodal.waveforms import normalise_raw, pad_raw
from oragen.schema.vocabulary import Level, Precision


class AudioEncoder(nn.Module):
    """A frozen wav2vec 2.0, HuBERT, WavLM, data2vec, w2v-BERT 2.0, or the encoder of Whisper.

    A waveform is brought to zero mean and unit variance over its real samples, then padded with
    zeros, and the network gets an attention mask if it was trained with one. With a
    `PublishedInput` padding counts as sound, and there is no mask. w2v-BERT and Whisper get the
    spectrograms of their feature extractors; Whisper takes 30 s at a time, and longer waveforms are
    encoded in pieces of 30 s. One pass computes several levels: `early`, the input of the
    transformer (mostly 512 channels of the convolutions); `intermediate`, its last hidden states,
    or those of some layers side by side; `late`, the pooled vector of a unimodal model; `pooled`,
    mean and standard deviation of the intermediate ones.

    Args:
        model: the network, alone or in a unimodal model; `late` needs the latter.
        extractor: how waveforms are prepared.
        precision: of the computation.
        layers: numbers of the hidden layers that are kept, see `choose_layers`; None: what the
            network returns.
    """

    def __init__(
        self,
        model: PreTrainedModel | UnimodalAudioModel,
        extractor: Extractor,
        precision: Precision = "fp32",
        layers: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.extractor = extractor
        self.precision: Precision = precision
        self.layers = layers
        if not self._takes_spectrograms:
            keep_steps_together(self.network.get_submodule("feature_extractor"))
        self.computing = to_bf16(self.network) if precision == "bf16" else self.network

    @property
    def network(self) -> PreTrainedModel:
        """The encoder alone, without the pooling and output layers of a unimodal model."""
        return self.model.encoder if isinstance(self.model, UnimodalAudioModel) else self.model

    def fingerprint(self, level: Level = "intermediate") -> str:
        """SHA-256 of what a level depends on: weights, architecture, how waveforms are prepared."""
        model = self.model if level == "late" else self.network
        if isinstance(self.extractor, PublishedInput):
            return fingerprint(model, asdict(self.extractor))
        return fingerprint(model, json.loads(self.extractor.to_json_string()))

    def feature_shape(self, num_samples: int, level: Level = "intermediate") -> tuple[int, int]:
        """Return rows and width of the embedding of so many samples.

        `late` has one row, `pooled` has two.
        """
        config = self.network.config
        width = config.hidden_size * len(self.layers or (1,))
        match level:
            case "early":
                of_step = config.hidden_size if self._takes_spectrograms else config.conv_dim[-1]
                return self.num_steps(num_samples), of_step
            case "intermediate":
                return self.num_steps(num_samples), width
            case "late":
                return 1, self._unimodal_model.summary.width
            case "pooled":
                return 2, width
            case _:
                assert_never(level)

    def num_steps(self, num_samples: int) -> int:
        """Return the number of audio frames of so many samples: 199 for 4 s, 200 of Whisper."""
        return max(0, count_steps(self.network.config, self._num_input_samples(num_samples)))

    @property
    def frame_samples(self) -> tuple[int, int]:
        """Samples from one audio frame to the next, and those that one frame is made of."""
        config = self.network.config
        return samples_between_steps(config), samples_of_one_step(config)

    def prepare(self, waveforms: Sequence[Sound]) -> PreparedSounds:
        """Scale and pad waveforms of any lengths; may run while the network computes.

        An embedding must not depend on the other waveforms. A network without an attention mask
        would treat padding as sound, so each of its batches has waveforms of one length.
        """
        pieces = [split_sound(waveform, self._longest_input) for waveform in waveforms]
        joined = [piece for of_waveform in pieces for piece in of_waveform]
        groups = [joined]
        if not self._takes_mask:
            by_length = groupby(joined, key=lambda piece: self._num_input_samples(len(piece)))
            groups = [list(group) for _, group in by_length]
        device = self.network.device
        is_normalised_there = device.type == "cuda" and is_plain(self.extractor)
        prepare: Callable[[list[Sound]], Waveforms] = partial(prepare_sounds, self.extractor)
        if is_normalised_there and all(waveform.dtype == np.int16 for waveform in joined):
            prepare = pad_raw
        batches = [
            Waveforms(pin(samples, device), pin(valid, device))
            for samples, valid in map(prepare, groups)
        ]
        return PreparedSounds(batches, [*map(len, joined)], [*map(len, pieces)])

    def launch(
        self,
        prepared: PreparedSounds,
        levels: Collection[Level],
        dtype: torch.dtype = torch.float32,
    ) -> Launched:
        """Begin to encode prepared waveforms; a GPU goes on while the caller does something else.

        Returns what waits for `steps x width` of each waveform, for each level, in a type.
        """
        device, computed = self.network.device, unpooled(levels)
        copied = type_to_copy(levels, dtype)
        returning = []
        for samples, valid in prepared.batches:
            mask, sent = None if valid.all() else send(valid, device), send(samples, device)
            if sent.dtype == torch.int16:
                sent = normalise_raw(sent, mask)
            longest = int(valid.sum(dim=1).max()) if self._takes_spectrograms else None
            returning.append(Returning(self(sent, mask, computed, longest), copied))

        def wait() -> Rows:
            embeddings: Rows = {level: [] for level in computed}
            for batch in returning:
                for level, features in batch.wait().items():
                    embeddings[level] += list(features)
            for level, of_level in embeddings.items():
                for place, num_samples in enumerate(prepared.num_samples):  # without padded steps
                    of_level[place] = of_level[place][: self.feature_shape(num_samples, level)[0]]
                num_steps = [*map(self.num_steps, prepared.num_samples)]
                embeddings[level] = _join_pieces(of_level, prepared.num_pieces, num_steps, level)
            return round_rows(choose_rows(embeddings, levels), dtype)

        return wait

    def embed(self, prepared: PreparedSounds, levels: Collection[Level]) -> Rows:
        """Encode prepared waveforms -> for each level, `steps x width` of each waveform."""
        return self.launch(prepared, levels)()

    def encode(self, waveforms: Sequence[Sound], level: Level = "intermediate") -> list[np.ndarray]:
        """Encode waveforms (int16, any lengths) -> `steps x width` of each, without padding."""
        return self.embed(self.prepare(waveforms), (level,))[level]

    @torch.inference_mode()
    def forward(
        self,
        samples: Float[Tensor, "batch ..."],
        valid: Bool[Tensor, "batch _"] | None,
        levels: Collection[Level],
        num_steps: int | None = None,
    ) -> dict[Level, Float[Tensor, "batch _ _"]]:
        """Encode a batch in one pass for all levels.

        Args:
            samples: waveforms or spectrograms.
            valid: None if nothing is padded.
            levels: to return.
            num_steps: of spectrograms, audio frames to return; None: all, also those of silence.
        """
        network, samples = self.computing, samples.to(self.computing.dtype)
        with autocast(network, self.precision):
            if self._takes_spectrograms:
                features = self._run(samples, valid, num_steps, with_states="early" in levels)
            else:
                features = self._run_with_front_end(samples, valid, levels)
        if "late" in levels:
            features["late"] = self._pool(features["late"], valid)
        return {level: features[level].float() for level in levels}

    def _run_with_front_end(
        self, samples: Tensor, valid: Tensor | None, levels: Collection[Level]
    ) -> dict[Level, Tensor]:
        """Encode waveforms; what leaves the convolutions is kept on its way."""
        front_end = self.computing.get_submodule("feature_extractor")
        features: dict[Level, Tensor] = {}
        with keep_output(front_end) as channels:
            if {*levels} == {"early"}:
                front_end(samples)
            else:
                features = self._run(samples, valid, None, with_states=False)
        # to batch, step, channel
        return features | {"early": channels[0].transpose(1, 2)}

    def _run(
        self,
        samples: Tensor,
        valid: Tensor | None,
        num_steps: int | None,
        *,
        with_states: bool,
    ) -> dict[Level, Tensor]:
        """Encode a batch; `late` is not pooled yet, and `early` is what enters the first layer."""
        mask = valid.long() if self._takes_mask and valid is not None else None
        with_states = with_states or self.layers is not None
        output = self.computing(samples, attention_mask=mask, output_hidden_states=with_states)
        last: Tensor = output.last_hidden_state
        features: dict[Level, Tensor] = {"intermediate": last[:, :num_steps], "late": last}
        if with_states:
            features["early"] = output.hidden_states[0][:, :num_steps]
        if self.layers is not None:
            states = [state[:, :num_steps] for state in (*output.hidden_states[:-1], last)]
            features["intermediate"] = join_layers(states, self.layers)
        return features

    def _pool(
        self,
        steps: Float[Tensor, "batch steps width"],
        valid: Bool[Tensor, "batch _"] | None,
    ) -> Float[Tensor, "batch 1 pooled_width"]:
        model = self._unimodal_model
        whole = torch.ones(steps.shape[:2], dtype=torch.bool, device=steps.device)
        steps_valid = whole if valid is None else model.steps_valid(valid)
        with autocast(model, self.precision):
            pooled: Tensor = model.summary(steps.float(), steps_valid)
        return pooled[:, None]  # batch, width -> batch, 1, width

    @property
    def _unimodal_model(self) -> UnimodalAudioModel:
        assert isinstance(self.model, UnimodalAudioModel), "`late` is refused when it is loaded"
        return self.model

    @property
    def _takes_mask(self) -> bool:
        """Whether the network takes an attention mask, and it hides padding."""
        if isinstance(self.extractor, PublishedInput):
            return False
        if self._takes_spectrograms:
            return True
        return bool(self.extractor.return_attention_mask) and hides_padding(self.network.config)

    @property
    def _takes_spectrograms(self) -> bool:
        return takes_spectrograms(self.network.config)

    @property
    def _longest_input(self) -> int | None:
        return longest_input(self.network.config)

    def _num_input_samples(self, num_samples: int) -> int:
        if isinstance(self.extractor, PublishedInput):
            return max(num_samples, self.extractor.min_samples)
        if isinstance(self.extractor, SeamlessM4TFeatureExtractor):
            return max(num_samples, MIN_W2V_BERT_SAMPLES)
        return num_samples


def _join_pieces(
    rows: Sequence[np.ndarray], num_pieces: Sequence[int], num_steps: Sequence[int], level: Level
) -> list[np.ndarray]:
    """Put the rows of pieces behind each other; of one vector a piece, their mean over steps."""
    joined: list[np.ndarray] = []
    stop = 0
    for count in num_pieces:
        start, stop = stop, stop + count
        whole = rows[start] if count == 1 else np.concatenate(rows[start:stop])
        if level == "late" and count > 1:
            weights = np.array(num_steps[start:stop], whole.dtype)
            whole = np.average(whole, axis=0, weights=weights, keepdims=True)
        joined.append(whole)
    return joined
