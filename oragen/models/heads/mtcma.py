"""Cached features -> output of the published heads: each modality attends to the other (MTCMA)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads.contract import Head, HeadSpec, check_features
from oragen.models.heads.output_layers import OutputLayers
from oragen.models.heads.token_pooling import build_layer_weights
from oragen.models.layers.cross_modal import CrossModalAttention
from oragen.models.layers.pooling import StatisticsPooling
from oragen.models.layers.presence import hide_invalid, repeat_last_valid
from oragen.models.layers.resampling import TokenResampling
from oragen.models.output import HeadOutput


class MtcmaHead(Head):
    """Multi-Task Cross-Modal Attention with a branch for each task (10.1016/j.eswa.2025.127473).

    Both modalities become the same small number of tokens: one for each face slot, or a single one
    where the audio has one step, as at level `late`. Each modality attends to the other. The audio
    tokens lead to gender, the face tokens to age, the sum of both branches to the mask type.

    As published, a linear map reduces the audio over its fixed number of steps. Valid crops move to
    the front and the last one is repeated. An absent modality is zeros, and so are audio steps that
    are not valid. Published features have no such steps: there, embeddings of padding are valid.

    Args:
        spec: the sizes; `width` is the published hidden width.
        decide_on_sum: predict gender and age, too, from the sum of the branches (the published
            AVModelV3 and mask models); else each from its own branch (AVModelV2).
    """

    def __init__(self, spec: HeadSpec, *, decide_on_sum: bool = True) -> None:
        super().__init__(spec)
        self.decide_on_sum = decide_on_sum
        sizes, width = spec.sizes, spec.width
        num_tokens = count_tokens(spec)
        self.layer_weights = build_layer_weights(spec)
        self.audio_tokens = TokenResampling(
            length=sizes.audio_steps,
            num_tokens=num_tokens,
            width=spec.audio_token_width,
            width_out=width,
        )
        self.face_tokens = TokenResampling(
            length=sizes.face_slots,
            num_tokens=num_tokens,
            width=sizes.face_layers * sizes.face_width,
            width_out=width,
        )
        self.audio_to_face = build_attention(spec, (width, width))
        self.face_to_audio = build_attention(spec, (width, width))
        several = num_tokens > 1
        self.pool = StatisticsPooling(spec.std_correction) if several else nn.Flatten()
        self.gender_branch = _branch(2 * width if several else width, width, spec.dropout)
        self.age_branch = _branch(2 * width if several else width, width, spec.dropout)
        self.decisions = OutputLayers(width, sizes)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=True)
        audio = self.audio_tokens(hide_invalid(self.layer_weights(audio), audio_valid))
        # batch, slot, layer, width -> batch, slot, layer x width
        face_by_slot = self.face_tokens(repeat_last_valid(face, face_valid).flatten(2))
        gender = self.gender_branch(self.pool(audio + self.audio_to_face(audio, face_by_slot)))
        age = self.age_branch(self.pool(face_by_slot + self.face_to_audio(face_by_slot, audio)))
        both = gender + age
        if self.decide_on_sum:
            return self.decisions.from_one(both)
        output: HeadOutput = self.decisions(for_gender=gender, for_age=age, for_mask_type=both)
        return output


class SharedTrunkHead(Head):
    """Multi-Task Cross-Modal Attention with one trunk for all tasks (the published AVModelV1).

    The attentions work on the features' own widths, without a residual. The tokens of both are
    pooled together. Otherwise as `MtcmaHead`.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        sizes = spec.sizes
        num_tokens = count_tokens(spec)
        audio_width, face_width = spec.audio_token_width, sizes.face_layers * sizes.face_width
        self.layer_weights = build_layer_weights(spec)
        self.audio_tokens = TokenResampling(
            length=sizes.audio_steps,
            num_tokens=num_tokens,
            width=audio_width,
            width_out=audio_width,
        )
        self.face_tokens = TokenResampling(
            length=sizes.face_slots, num_tokens=num_tokens, width=face_width, width_out=face_width
        )
        self.audio_to_face = build_attention(spec, (audio_width, face_width), project_inputs=True)
        self.face_to_audio = build_attention(spec, (face_width, audio_width), project_inputs=True)
        self.pool = StatisticsPooling(spec.std_correction)
        self.trunk = _branch(2 * spec.width, spec.width, spec.dropout)
        self.decisions = OutputLayers(spec.width, sizes)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=True)
        audio = self.audio_tokens(hide_invalid(self.layer_weights(audio), audio_valid))
        # batch, slot, layer, width -> batch, slot, layer x width
        face_by_slot = self.face_tokens(repeat_last_valid(face, face_valid).flatten(2))
        attended = [
            self.audio_to_face(audio, face_by_slot), self.face_to_audio(face_by_slot, audio),
        ]  # fmt: skip
        return self.decisions.from_one(self.trunk(self.pool(torch.cat(attended, dim=1))))


def count_tokens(spec: HeadSpec) -> int:
    """Return how many tokens each modality becomes."""
    return min(spec.sizes.audio_steps, spec.sizes.face_slots)


def build_attention(
    spec: HeadSpec, widths: tuple[int, int], *, project_inputs: bool = False
) -> CrossModalAttention:
    """Build one direction; `widths` are those of a query and of a context token."""
    query_width, context_width = widths
    return CrossModalAttention(
        query_width=query_width,
        context_width=context_width,
        width=spec.width,
        mlp_width=spec.width // 2,
        num_heads=spec.num_heads,
        project_inputs=project_inputs,
        dropout=spec.dropout,
    )


def _branch(width_in: int, width_out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout))
