"""Our own head: each task asks all audio frames and all crops at once."""

from typing import Final

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.heads.contract import Head, HeadOutput, HeadSpec, check_features
from oragen.heads.decisions import Decisions
from oragen.heads.summaries import build_summary
from oragen.layers.attention import MultiHeadAttention
from oragen.layers.normalization import PerLayerNorm
from oragen.layers.positions import sinusoidal_positions
from oragen.layers.presence import hide_invalid

NUM_BLOCKS: Final = 2
NUM_TASKS: Final = 3  # gender, mask type, age
FIRST_GAIN: Final = 0.1


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
    """Task queries look at the context, then think: a pre-norm transformer decoder block.

    Both additions begin small (LayerScale, arXiv 2103.17239): what the queries are made of decides
    until there is something to add.
    """

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads)
        self.attention_gain = nn.Parameter(torch.full((width,), FIRST_GAIN))
        self.dropout = nn.Dropout(dropout)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )
        self.mlp_gain = nn.Parameter(torch.full((width,), FIRST_GAIN))

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        context: Float[Tensor, "batch context width"],
        context_valid: Bool[Tensor, "batch context"],
    ) -> Float[Tensor, "batch query width"]:
        found = self.attention(self.query_norm(queries), context, context, context_valid)
        queries = queries + self.attention_gain * self.dropout(found)
        return queries + self.mlp_gain * self.mlp(queries)  # type: ignore[no-any-return]


class CrossAttentionHead(Head):
    """A query for each task starts from both modalities' summaries, and asks all tokens for more.

    The head begins as a concatenation, and attention adds what time, slots and layers tell beyond
    it. Any number of audio frames and of slots; what is not valid is masked out. One token that
    stands for nothing is always valid, so a row without anything is defined too.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        sizes, width = spec.sizes, spec.width
        self.audio_summary = build_summary(spec, "audio")
        self.face_summary = build_summary(spec, "face")
        self.merge = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Dropout(spec.dropout))
        self.tasks = nn.Parameter(0.02 * torch.randn(NUM_TASKS, width))
        self.audio_tokens = AudioTokens(sizes.audio_width, width)
        self.face_tokens = FaceTokens(sizes.face_layers, sizes.face_width, width)
        self.nothing = nn.Parameter(0.02 * torch.randn(width))
        self.context_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            QueryBlock(width, spec.num_heads, spec.dropout) for _ in range(NUM_BLOCKS)
        )
        self.decisions = Decisions(width, sizes)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=False)
        summaries = [self.audio_summary(audio, audio_valid), self.face_summary(face, face_valid)]
        queries = self.tasks + self.merge(torch.cat(summaries, dim=-1))[:, None]
        context, context_valid = self._context(audio, audio_valid, face, face_valid)
        for block in self.blocks:
            queries = block(queries, context, context_valid)
        decided: HeadOutput = self.decisions(queries[:, 0], queries[:, 1], queries[:, 2])
        return decided

    def _context(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> tuple[Float[Tensor, "batch context width"], Bool[Tensor, "batch context"]]:
        """Return all tokens side by side, and which of them are there."""
        nothing = self.nothing.expand(len(audio), 1, -1)
        heard = self.audio_tokens(hide_invalid(audio, audio_valid))
        seen = self.face_tokens(hide_invalid(face, face_valid))
        always = audio_valid.new_ones(len(audio_valid), 1)
        seen_valid = repeat(face_valid, "b s -> b (s l)", l=self.spec.sizes.face_layers)
        tokens = self.context_norm(torch.cat([nothing, heard, seen], dim=1))
        return tokens, torch.cat([always, audio_valid, seen_valid], dim=1)
