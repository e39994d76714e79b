"""Tokens -> tokens informed by each other: one transformer block."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.layers import MultiHeadAttention, sinusoidal_positions


class TransformerBlock(nn.Module):
    """Self-attention, then a perceptron; each is added to its input, then normalised.

    The layer of Vaswani et al. 2017 (arXiv 1706.03762), with an attention without biases. The
    positions are added to its input, so that they are in the first sum.
    """

    def __init__(self, width: int, *, num_heads: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, num_heads)
        self.attention_norm = nn.LayerNorm(width)
        self.refine = nn.Sequential(
            nn.Linear(width, mlp_width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_width, width),
        )
        self.refine_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        tokens: Float[Tensor, "batch length width"],
        valid: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        """Each token attends to the valid ones; every row needs at least one."""
        tokens = self.dropout(tokens + sinusoidal_positions(*tokens.shape[1:], like=tokens))
        attended = self.attention(tokens, tokens, tokens, valid)
        tokens = self.attention_norm(tokens + self.dropout(attended))
        return self.refine_norm(tokens + self.dropout(self.refine(tokens)))  # type: ignore[no-any-return]
