"""Cached features -> output of our own head: each task attends to all audio frames and crops."""

from typing import Final

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads.contract import Head, HeadSpec, check_features
from oragen.models.heads.output_layers import OutputLayers
from oragen.models.heads.token_pooling import build_layer_weights, build_pooling
from oragen.models.layers.attention import MultiHeadAttention
from oragen.models.layers.embeddings import draw_embeddings
from oragen.models.layers.normalization import PerLayerNorm
from oragen.models.layers.positions import sinusoidal_positions
from oragen.models.layers.presence import hide_invalid
from oragen.models.output import HeadOutput

# Rows of the task queries: their order is that of the saved weights.
GENDER, MASK_TYPE, AGE = range(3)
NUM_TASKS: Final = 3


class AudioTokens(nn.Module):
    """Audio frames -> tokens with position and modality."""

    def __init__(self, audio_width: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(audio_width)
        self.project = nn.Linear(audio_width, width)
        self.position_gain = nn.Parameter(torch.tensor(0.1))
        self.modality = draw_embeddings(width)

    def forward(
        self, audio: Float[Tensor, "batch steps audio_width"]
    ) -> Float[Tensor, "batch steps width"]:
        tokens = self.project(self.norm(audio))
        positions = sinusoidal_positions(tokens.shape[1], tokens.shape[2], like=tokens)
        return tokens + self.position_gain * positions + self.modality  # type: ignore[no-any-return]


class FaceTokens(nn.Module):
    """Hidden states of each crop -> a token for each slot and encoder layer."""

    def __init__(self, face_layers: int, face_width: int, width: int) -> None:
        super().__init__()
        self.norm = PerLayerNorm(face_layers, face_width)
        self.project = nn.Linear(face_width, width)
        self.position_gain = nn.Parameter(torch.tensor(0.1))
        self.layer = draw_embeddings(face_layers, width)

    def forward(
        self, face: Float[Tensor, "batch slots layers face_width"]
    ) -> Float[Tensor, "batch slots_times_layers width"]:
        tokens = self.project(self.norm(face)) + self.layer
        positions = sinusoidal_positions(tokens.shape[1], tokens.shape[3], like=tokens)
        tokens = tokens + self.position_gain * positions[:, None]
        # batch, slot, layer, width -> batch, token, width
        return tokens.flatten(1, 2)  # type: ignore[no-any-return]


class QueryBlock(nn.Module):
    """Task queries attend to the context, then a perceptron: a pre-norm decoder block."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads)
        self.dropout = nn.Dropout(dropout)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        context: Float[Tensor, "batch context width"],
        context_valid: Bool[Tensor, "batch context"],
    ) -> Float[Tensor, "batch query width"]:
        attended = self.attention(self.query_norm(queries), context, context, context_valid)
        queries = queries + self.dropout(attended)
        return queries + self.mlp(queries)  # type: ignore[no-any-return]


class CrossAttentionHead(Head):
    """Sum of three outputs: from the audio, from the face, and from both by attention.

    The first two come from the pooled features of one modality, and count where it is present.
    Their logits are added, as for independent observations. For the third, a query for each task
    starts from both pooled vectors. It attends to all audio frames and to all layers of all crops.

    Takes any number of audio frames and of slots; what is not valid gets no attention. One learned
    token, `nothing`, is always valid: so the output is defined even without both modalities.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        sizes, width = spec.sizes, spec.width
        self.layer_weights = build_layer_weights(spec)
        self.audio_summary = build_pooling(spec, "audio")
        self.face_summary = build_pooling(spec, "face")
        self.audio_decisions = OutputLayers(width, sizes)
        self.face_decisions = OutputLayers(width, sizes)
        self.merge = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Dropout(spec.dropout))
        self.tasks = draw_embeddings(NUM_TASKS, width)
        self.audio_tokens = AudioTokens(spec.audio_token_width, width)
        self.face_tokens = FaceTokens(sizes.face_layers, sizes.face_width, width)
        self.nothing = draw_embeddings(width)
        self.context_norm = nn.LayerNorm(width)
        self.block = QueryBlock(width, spec.num_heads, spec.dropout)
        self.decisions = OutputLayers(width, sizes)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=False)
        audio = self.layer_weights(audio)
        pooled_audio = self.audio_summary(audio, audio_valid)
        pooled_face = self.face_summary(face, face_valid)
        pooled = self.merge(torch.cat([pooled_audio, pooled_face], dim=-1))
        queries = self.tasks + pooled[:, None]  # batch, width -> batch, task, width
        context, context_valid = self._context(audio, audio_valid, face, face_valid)
        tasks = self.block(queries, context, context_valid)
        of_both: HeadOutput = self.decisions(
            for_gender=tasks[:, GENDER], for_age=tasks[:, AGE], for_mask_type=tasks[:, MASK_TYPE]
        )
        return sum_logits(
            of_both,
            (self.audio_decisions.from_one(pooled_audio), audio_valid.any(dim=1)),
            (self.face_decisions.from_one(pooled_face), face_valid.any(dim=1)),
        )

    def _context(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> tuple[Float[Tensor, "batch context width"], Bool[Tensor, "batch context"]]:
        """Return the tokens of both modalities, one after the other, and which are valid."""
        nothing = self.nothing.expand(len(audio), 1, -1)  # width -> batch, 1, width
        audio_tokens = self.audio_tokens(hide_invalid(audio, audio_valid))
        face_tokens = self.face_tokens(hide_invalid(face, face_valid))
        nothing_valid = audio_valid.new_ones(len(audio_valid), 1)
        face_tokens_valid = repeat(face_valid, "b s -> b (s l)", l=self.spec.sizes.face_layers)
        tokens = self.context_norm(torch.cat([nothing, audio_tokens, face_tokens], dim=1))
        return tokens, torch.cat([nothing_valid, audio_valid, face_tokens_valid], dim=1)


def sum_logits(base: HeadOutput, *others: tuple[HeadOutput, Bool[Tensor, " batch"]]) -> HeadOutput:
    """Add the logits of other outputs to those of the first, in the rows where they count."""
    gender, age, mask_type = base.gender_logits, base.age_logit, base.mask_type_logits
    for output, counts in others:
        gender = gender + output.gender_logits * counts[:, None]
        age = age + output.age_logit * counts
        if mask_type is not None and output.mask_type_logits is not None:
            mask_type = mask_type + output.mask_type_logits * counts[:, None]
    return HeadOutput(gender_logits=gender, age_logit=age, mask_type_logits=mask_type)
