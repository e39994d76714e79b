"""Audio frames of an encoder -> one vector."""

from typing import Final

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.layers import StatisticsPooling, hide_invalid
from oragen.models.unimodal.transformer_block import TransformerBlock

NUM_BLOCKS: Final = 2
BLOCK_DROPOUT: Final = 0.1


class TransformerPooling(nn.Module):
    """Transformer blocks, then mean and standard deviation over time, then a linear layer.

    Args:
        width_in: size of an audio frame.
        width: size of the vector.
        num_heads: attention heads of a block.
        std_correction: of the pooling, see `StatisticsPooling`.
        dropout: probability, on the vector.
    """

    def __init__(
        self,
        width_in: int,
        width: int = 256,
        *,
        num_heads: int = 4,
        std_correction: int = 0,
        dropout: float = 0.6,
    ) -> None:
        super().__init__()
        self.width = width
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width_in, num_heads=num_heads, mlp_width=width_in, dropout=BLOCK_DROPOUT
            )
            for _ in range(NUM_BLOCKS)
        )
        self.pool = StatisticsPooling(std_correction)
        self.merge = nn.Linear(2 * width_in, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        steps: Float[Tensor, "batch steps width_in"],
        valid: Bool[Tensor, "batch steps"] | None = None,
    ) -> Float[Tensor, "batch width"]:
        for block in self.blocks:
            steps = F.relu(block(steps, valid))
        return self.dropout(F.relu(self.merge(self.pool(steps, valid))))  # type: ignore[no-any-return]


class MeanPooling(nn.Module):
    """The mean over time, as in the age-gender models of audEERING (arXiv 2306.16962)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(
        self,
        steps: Float[Tensor, "batch steps width"],
        valid: Bool[Tensor, "batch steps"] | None = None,
    ) -> Float[Tensor, "batch width"]:
        if valid is None:
            return steps.mean(dim=1)
        return hide_invalid(steps, valid).sum(dim=1) / valid.sum(dim=1, keepdim=True).clamp(min=1)
