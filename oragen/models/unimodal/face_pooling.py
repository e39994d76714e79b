"""CLS rows of all hidden states of an encoder -> one vector."""

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oragen.models.layers import StatisticsPooling

# Of the variance over layers: 1 in both published versions, unlike that over audio frames.
STD_CORRECTION: Final = 1


class SelfAttentionPooling(nn.Module):
    """Scaled dot-product self-attention over the layers (SDPSA, "DPAL" in the published code).

    One head as wide as a row, with biases, without a residual; then the mean and the standard
    deviation over the layers, then a linear layer.
    """

    def __init__(self, width_in: int, width: int = 128, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(width_in, width_in)
        self.to_query = nn.Linear(width_in, width_in)
        self.to_key = nn.Linear(width_in, width_in)
        self.to_value = nn.Linear(width_in, width_in)
        self.pool = StatisticsPooling(STD_CORRECTION)
        self.merge = nn.Linear(2 * width_in, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Float[Tensor, "batch layers width_in"]) -> Float[Tensor, "batch width"]:
        rows = self.project(rows)
        attended = F.scaled_dot_product_attention(
            self.to_query(rows), self.to_key(rows), self.to_value(rows)
        )
        return self.dropout(self.merge(self.pool(attended)))  # type: ignore[no-any-return]


class GatedPooling(nn.Module):
    """Two views of the layers, mixed by a gate (GSA in the published code).

    A view is a linear layer, then the mean and the standard deviation over the layers, squeezed
    to the size of the vector. The gate sets how much of each view enters each element: the shares
    of the first view are a softmax over the elements.
    """

    def __init__(self, width_in: int, width: int = 128, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.project_first = nn.Linear(width_in, width_in)
        self.project_second = nn.Linear(width_in, width_in)
        self.pool = StatisticsPooling(STD_CORRECTION)
        self.squeeze_first = nn.Linear(2 * width_in, width, bias=False)
        self.squeeze_second = nn.Linear(2 * width_in, width, bias=False)
        self.gate = nn.Linear(4 * width_in, width, bias=False)
        self.merge = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Float[Tensor, "batch layers width_in"]) -> Float[Tensor, "batch width"]:
        first = self.pool(self.project_first(rows))
        second = self.pool(self.project_second(rows))
        share = self.gate(torch.cat([first, second], dim=-1)).softmax(dim=-1)
        first, second = self.squeeze_first(first).tanh(), self.squeeze_second(second).tanh()
        return self.dropout(self.merge(share * first + (1 - share) * second))  # type: ignore[no-any-return]
