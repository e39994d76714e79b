"""Waveforms -> embeddings of a frozen speech transformer, at most levels one row every 20 ms."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AutoFeatureExtractor, PreTrainedModel, Wav2Vec2FeatureExtractor

from oragen.encoders.computing import keep_steps_together, to_bf16
from oragen.encoders.copying import Returning, pin, send
from oragen.encoders.embedded_audio import design_wav2vec2
from oragen.encoders.errors import EncoderError, explained
from oragen.encoders.files import check_preparation
from oragen.encoders.fingerprint import fingerprint
from oragen.encoders.levels import (
    INTERMEDIATE,
    Launched,
    Rows,
    autocast,
    choose_rows,
    keep_output,
    round_rows,
    type_to_copy,
    unpooled,
)
from oragen.encoders.sounds import PreparedSounds, PublishedInput, Sound, is_plain, prepare_sounds
from oragen.encoders.source import (
    load_complete,
    load_finetuned,
    refuse_late,
    refuse_useless,
)
from oragen.models.unimodal import SavedUnimodal, UnimodalAudioModel, Waveforms
from oragen.models.unimodal.front_end import (
    count_steps,
    hides_padding,
    samples_between_steps,
    samples_of_one_step,
)
from oragen.models.unimodal.input import SoundInput, check_input
from oragen.models.unimodal.waveforms import normalise_raw, pad_raw
from oragen.schema.choices.encoders import EMBEDDED
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Level, Precision


class AudioEncoder(nn.Module):
    """A frozen wav2vec 2.0, HuBERT, WavLM or data2vec.

    A waveform is brought to zero mean and unit variance over its real samples, then padded with
    zeros, and the network gets an attention mask if it was trained with one. With a
    `PublishedInput` padding counts as sound, and there is no mask. One pass computes several
    levels: `early`, the input of the transformer (512 channels of the convolutions);
    `intermediate`, its last hidden states; `late`, the pooled vector of a unimodal model; `pooled`,
    mean and standard deviation of the intermediate ones.

    Args:
        model: the network, alone or in a unimodal model; `late` needs the latter.
        extractor: how waveforms are prepared.
        precision: of the computation.
    """

    def __init__(
        self,
        model: PreTrainedModel | UnimodalAudioModel,
        extractor: Wav2Vec2FeatureExtractor | PublishedInput,
        precision: Precision = "fp32",
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.extractor = extractor
        self.precision: Precision = precision
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
        match level:
            case "early":
                return self.num_steps(num_samples), config.conv_dim[-1]
            case "intermediate":
                return self.num_steps(num_samples), config.hidden_size
            case "late":
                return 1, self._unimodal_model.summary.width
            case "pooled":
                return 2, config.hidden_size
            case _:
                assert_never(level)

    def num_steps(self, num_samples: int) -> int:
        """Return the number of audio frames of so many samples: 199 for 4 s."""
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
        groups = [list(waveforms)]
        if not self._takes_mask:
            by_length = groupby(
                waveforms, key=lambda waveform: self._num_input_samples(len(waveform))
            )
            groups = [list(group) for _, group in by_length]
        device = self.network.device
        is_normalised_there = device.type == "cuda" and is_plain(self.extractor)
        prepare: Callable[[list[Sound]], Waveforms] = partial(prepare_sounds, self.extractor)
        if is_normalised_there and all(waveform.dtype == np.int16 for waveform in waveforms):
            prepare = pad_raw
        batches = [
            Waveforms(pin(samples, device), pin(valid, device))
            for samples, valid in map(prepare, groups)
        ]
        return PreparedSounds(batches, [len(waveform) for waveform in waveforms])

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
            returning.append(Returning(self(sent, mask, computed), copied))

        def wait() -> Rows:
            embeddings: Rows = {level: [] for level in computed}
            for batch in returning:
                for level, features in batch.wait().items():
                    embeddings[level] += list(features)
            for level, of_level in embeddings.items():
                for place, num_samples in enumerate(prepared.num_samples):  # without padded steps
                    of_level[place] = of_level[place][: self.feature_shape(num_samples, level)[0]]
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
        samples: Float[Tensor, "batch samples"],
        valid: Bool[Tensor, "batch samples"] | None,
        levels: Collection[Level],
    ) -> dict[Level, Float[Tensor, "batch _ _"]]:
        """Encode a batch in one pass for all levels; `valid` is None if nothing is padded."""
        network, samples = self.computing, samples.to(self.computing.dtype)
        front_end = network.get_submodule("feature_extractor")
        features: dict[Level, Tensor] = {}
        with autocast(network, self.precision), keep_output(front_end) as channels:
            if {*levels} == {"early"}:
                front_end(samples)
            else:
                mask = valid.long() if self._takes_mask and valid is not None else None
                features["intermediate"] = network(samples, attention_mask=mask).last_hidden_state
            features["early"] = channels[0].transpose(1, 2)  # to batch, step, channel
        if "late" in levels:
            features["late"] = self._pool(features["intermediate"], samples, valid)
        return {level: features[level].float() for level in levels}

    def _pool(
        self,
        steps: Float[Tensor, "batch steps width"],
        samples: Float[Tensor, "batch samples"],
        valid: Bool[Tensor, "batch samples"] | None,
    ) -> Float[Tensor, "batch 1 pooled_width"]:
        model = self._unimodal_model
        whole = torch.ones_like(samples, dtype=torch.bool) if valid is None else valid
        with autocast(model, self.precision):
            pooled: Tensor = model.summary(steps.float(), model.steps_valid(whole))
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
        return bool(self.extractor.return_attention_mask) and hides_padding(self.network.config)

    def _num_input_samples(self, num_samples: int) -> int:
        if isinstance(self.extractor, PublishedInput):
            return max(num_samples, self.extractor.min_samples)
        return num_samples


def load_audio_encoder(
    source: str,
    revision: str | None = None,
    *,
    precision: Precision = "fp32",
    levels: Collection[Level] = (INTERMEDIATE,),
) -> AudioEncoder:
    """Load a speech encoder from the hub, from a folder, or the `embedded` one.

    The folder may hold an encoder alone, or a unimodal model: one fine-tuned here, or converted
    from a published checkpoint. `levels` are those that will be computed.

    Raises:
        EncoderError: it cannot be loaded, is no speech encoder, or lacks a level.
    """
    if saved := load_finetuned(source):
        return _from_finetuned(source, saved, precision)
    refuse_late(source, levels)
    if source == EMBEDDED:
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        return AudioEncoder(design_wav2vec2(), extractor, precision)
    model = load_complete(source, revision)
    if not hasattr(model.config, "conv_stride"):
        raise EncoderError(
            f"Encoder {source!r} is a {model.config.model_type}; expected a speech transformer "
            "with a convolutional front end (wav2vec2, hubert, wavlm, data2vec-audio)."
        )
    return _try_out(source, model, _load_extractor(source, revision), precision)


def _from_finetuned(source: str, saved: SavedUnimodal, precision: Precision) -> AudioEncoder:
    if not isinstance(saved.model, UnimodalAudioModel):
        raise EncoderError(f"Encoder {source!r} is a model of faces; expected one of voices.")
    if "input" in saved.metadata:
        found = check_input(Path(source), SoundInput, saved.metadata)
        prepared = PublishedInput(order=found.waveform_order, min_samples=found.min_samples)
        return AudioEncoder(saved.model, prepared, precision)
    return _try_out(source, saved.model, _load_extractor(source, None), precision)


def _load_extractor(source: str, revision: str | None) -> Wav2Vec2FeatureExtractor:
    with explained(source, revision):
        extractor = AutoFeatureExtractor.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    if (
        not isinstance(extractor, Wav2Vec2FeatureExtractor)
        or extractor.sampling_rate != SAMPLE_RATE_HZ
    ):
        raise EncoderError(
            f"Encoder {source!r} prepares sound by a {type(extractor).__name__}, expected a "
            f"Wav2Vec2FeatureExtractor at {SAMPLE_RATE_HZ} Hz. Name another encoder."
        )
    check_preparation(source, json.loads(extractor.to_json_string()))
    return extractor


def _try_out(
    source: str,
    model: PreTrainedModel | UnimodalAudioModel,
    extractor: Wav2Vec2FeatureExtractor,
    precision: Precision,
) -> AudioEncoder:
    """Encode a second of silence: a network and a preparation may not fit each other."""
    encoder = AudioEncoder(model, extractor, precision)
    with explained(source, None):
        [steps] = encoder.encode([np.zeros(SAMPLE_RATE_HZ, np.int16)])
        refuse_useless(source, steps)
    return encoder
