"""The published heads: audio attends to the face, the face to the audio (MTCMA)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads.contract import Head, HeadSpec, check_features
from oragen.models.heads.output_layers import OutputLayers
from oragen.models.layers.cross_modal import CrossModalAttention
from oragen.models.layers.pooling import StatisticsPooling
from oragen.models.layers.presence import hide_invalid, repeat_last_valid
from oragen.models.layers.resampling import TokenResampling
from oragen.models.output import HeadOutput


class MtcmaHead(Head):
    """Multi-Task Cross-Modal Attention with a branch for each task (10.1016/j.eswa.2025.127473).

    Both modalities become the same few tokens: as many as face slots, or one where the audio is a
    single step, as at level `late`. Each attends to the other. What the audio found in the face
    leads to gender, what the face found in the audio to age; the mask type is decided on the sum.

    As published, the audio is squeezed by a linear map over its fixed number of steps, the crops
    that are there move to the front and the last one is repeated, and an absent modality is zeros.
    Audio steps that are not valid are zeros too; published features have none: what the encoder
    made of zero padding counts as valid there.

    Args:
        spec: the sizes; `width` is the published hidden width.
        decide_on_sum: decide gender and age, too, on the sum of the branches (the published
            AVModelV3 and mask models), and not each on its own branch (AVModelV2).
        mlp_width: size inside the perceptrons; half of the width when not given.
    """

    def __init__(
        self, spec: HeadSpec, *, decide_on_sum: bool = True, mlp_width: int | None = None
    ) -> None:
        super().__init__(spec)
        self.decide_on_sum = decide_on_sum
        sizes, width = spec.sizes, spec.width
        num_tokens = count_tokens(spec)
        self.audio_tokens = TokenResampling(
            length=sizes.audio_steps,
            num_tokens=num_tokens,
            width=sizes.audio_width,
            width_out=width,
        )
        self.face_tokens = TokenResampling(
            length=sizes.face_slots,
            num_tokens=num_tokens,
            width=sizes.face_layers * sizes.face_width,
            width_out=width,
        )
        self.audio_to_face = build_attention(spec, (width, width), mlp_width)
        self.face_to_audio = build_attention(spec, (width, width), mlp_width)
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
        audio = self.audio_tokens(hide_invalid(audio, audio_valid))
        face_by_slot = self.face_tokens(repeat_last_valid(face, face_valid).flatten(2))
        gender = self.gender_branch(self.pool(audio + self.audio_to_face(audio, face_by_slot)))
        age = self.age_branch(self.pool(face_by_slot + self.face_to_audio(face_by_slot, audio)))
        both = gender + age
        decided: HeadOutput = (
            self.decisions(both, both, both)
            if self.decide_on_sum
            else self.decisions(gender, both, age)
        )
        return decided


class SharedTrunkHead(Head):
    """Multi-Task Cross-Modal Attention with one trunk for all tasks (the published AVModelV1).

    The attentions work on the features' own widths, without a residual, and the tokens of both
    are pooled together. Otherwise as `MtcmaHead`.
    """

    def __init__(self, spec: HeadSpec, *, mlp_width: int | None = None) -> None:
        super().__init__(spec)
        sizes = spec.sizes
        num_tokens = count_tokens(spec)
        audio_width, face_width = sizes.audio_width, sizes.face_layers * sizes.face_width
        self.audio_tokens = TokenResampling(
            length=sizes.audio_steps,
            num_tokens=num_tokens,
            width=audio_width,
            width_out=audio_width,
        )
        self.face_tokens = TokenResampling(
            length=sizes.face_slots, num_tokens=num_tokens, width=face_width, width_out=face_width
        )
        self.audio_to_face = build_attention(spec, (audio_width, face_width), mlp_width, True)
        self.face_to_audio = build_attention(spec, (face_width, audio_width), mlp_width, True)
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
        audio = self.audio_tokens(hide_invalid(audio, audio_valid))
        face_by_slot = self.face_tokens(repeat_last_valid(face, face_valid).flatten(2))
        found = [self.audio_to_face(audio, face_by_slot), self.face_to_audio(face_by_slot, audio)]
        trunk = self.trunk(self.pool(torch.cat(found, dim=1)))
        decided: HeadOutput = self.decisions(trunk, trunk, trunk)
        return decided


def count_tokens(spec: HeadSpec) -> int:
    """Tokens a modality becomes, the same for both."""
    return min(spec.sizes.audio_steps, spec.sizes.face_slots)


def build_attention(
    spec: HeadSpec, widths: tuple[int, int], mlp_width: int | None, project_inputs: bool = False
) -> CrossModalAttention:
    """One direction; `widths` are those of a query and of a context token."""
    query_width, context_width = widths
    return CrossModalAttention(
        query_width=query_width,
        context_width=context_width,
        width=spec.width,
        mlp_width=spec.width // 2 if mlp_width is None else mlp_width,
        num_heads=spec.num_heads,
        project_inputs=project_inputs,
        dropout=spec.dropout,
    )


def _branch(width_in: int, width_out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout))
