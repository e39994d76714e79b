"""Our own head: each task asks all audio frames and all crops at once."""

from typing import Final

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.heads.contract import Head, HeadOutput, HeadSpec, check_features
from oragen.heads.decisions import Decisions
from oragen.layers.attention import MultiHeadAttention
from oragen.layers.normalization import PerLayerNorm
from oragen.layers.pooling import StatisticsPooling
from oragen.layers.positions import sinusoidal_positions
from oragen.layers.presence import hide_invalid

NUM_BLOCKS: Final = 2
NUM_TASKS: Final = 3  # gender, mask type, age


class AudioTokens(nn.Module):
    """Audio frames -> tokens that know their place and modality."""

    def __init__(self, audio_width: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(audio_width)
        self.project = nn.Linear(audio_width, width)
        self.position_gain = nn.Parameter(torch.tensor(0.1))
        self.modality = nn.Parameter(0.02 * torch.randn(width))

    def forward(
        self, audio: Float[Tensor, "batch steps audio_width"]
    ) -> Float[Tensor, "batch steps width"]:
        tokens = self.project(self.norm(audio))
        places = sinusoidal_positions(tokens.shape[1], tokens.shape[2], like=tokens)
        return tokens + self.position_gain * places + self.modality  # type: ignore[no-any-return]


class FaceTokens(nn.Module):
    """Hidden states of each crop -> a token for each slot and encoder layer."""

    def __init__(self, face_layers: int, face_width: int, width: int) -> None:
        super().__init__()
        self.norm = PerLayerNorm(face_layers, face_width)
        self.project = nn.Linear(face_width, width)
        self.position_gain = nn.Parameter(torch.tensor(0.1))
        self.layer = nn.Parameter(0.02 * torch.randn(face_layers, width))

    def forward(
        self, face: Float[Tensor, "batch slots layers face_width"]
    ) -> Float[Tensor, "batch slots_times_layers width"]:
        tokens = self.project(self.norm(face)) + self.layer
        places = sinusoidal_positions(tokens.shape[1], tokens.shape[3], like=tokens)
        tokens = tokens + self.position_gain * places[:, None]
        return tokens.flatten(1, 2)  # type: ignore[no-any-return]


class QueryBlock(nn.Module):
    """Task queries look at the context, then think: a pre-norm transformer decoder block."""

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
        found = self.attention(self.query_norm(queries), context, context, context_valid)
        queries = queries + self.dropout(found)
        return queries + self.mlp(queries)  # type: ignore[no-any-return]


class CrossAttentionHead(Head):
    """One learned query a task attends to all valid tokens of both modalities.

    A query starts from the task's own vector plus the pooled tokens of each modality, so that
    the head begins as a concatenation and attention refines it. Any number of audio frames and
    of slots; what is not valid is masked out. One token that stands for nothing is always valid,
    so a row without anything is defined too.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        sizes, width = spec.sizes, spec.width
        self.audio_tokens = AudioTokens(sizes.audio_width, width)
        self.face_tokens = FaceTokens(sizes.face_layers, sizes.face_width, width)
        self.nothing = nn.Parameter(0.02 * torch.randn(width))
        self.tasks = nn.Parameter(0.02 * torch.randn(NUM_TASKS, width))
        self.pool = StatisticsPooling()
        self.from_audio = nn.Linear(2 * width, width)
        self.from_face = nn.Linear(2 * width, width)
        self.context_norm = nn.LayerNorm(width)
        self.context_dropout = nn.Dropout(spec.dropout)
        self.blocks = nn.ModuleList(
            QueryBlock(width, spec.num_heads, spec.dropout) for _ in range(NUM_BLOCKS)
        )
        self.answer_norm = nn.LayerNorm(width)
        self.decisions = Decisions(width, sizes)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=False)
        audio_tokens = self.audio_tokens(hide_invalid(audio, audio_valid))
        face_tokens = self.face_tokens(hide_invalid(face, face_valid))
        face_tokens_valid = repeat(face_valid, "b s -> b (s l)", l=self.spec.sizes.face_layers)
        queries = self._queries(audio_tokens, audio_valid, face_tokens, face_tokens_valid)
        context, context_valid = self._context(
            audio_tokens, audio_valid, face_tokens, face_tokens_valid
        )
        for block in self.blocks:
            queries = block(queries, context, context_valid)
        answers = self.answer_norm(queries)
        decided: HeadOutput = self.decisions(answers[:, 0], answers[:, 1], answers[:, 2])
        return decided

    def _queries(
        self,
        audio_tokens: Float[Tensor, "batch steps width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face_tokens: Float[Tensor, "batch face_tokens width"],
        face_valid: Bool[Tensor, "batch face_tokens"],
    ) -> Float[Tensor, "batch tasks width"]:
        heard = self.from_audio(self.pool(audio_tokens, audio_valid))
        seen = self.from_face(self.pool(face_tokens, face_valid))
        return self.tasks + (heard + seen)[:, None]  # type: ignore[no-any-return]

    def _context(
        self,
        audio_tokens: Float[Tensor, "batch steps width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face_tokens: Float[Tensor, "batch face_tokens width"],
        face_valid: Bool[Tensor, "batch face_tokens"],
    ) -> tuple[Float[Tensor, "batch context width"], Bool[Tensor, "batch context"]]:
        nothing = self.nothing.expand(len(audio_tokens), 1, -1)
        tokens = torch.cat([nothing, audio_tokens, face_tokens], dim=1)
        always = audio_valid.new_ones(len(audio_valid), 1)
        valid = torch.cat([always, audio_valid, face_valid], dim=1)
        return self.context_dropout(self.context_norm(tokens)), valid
