"""Queries and a context of any two lengths -> queries informed by the context."""

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention without biases (Vaswani et al. 2017, arXiv 1706.03762)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width ({width}) must be divisible by num_heads ({num_heads}).")
        self.num_heads = num_heads
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key = nn.Linear(width, width, bias=False)
        self.to_value = nn.Linear(width, width, bias=False)
        self.to_output = nn.Linear(width, width, bias=False)

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        keys: Float[Tensor, "batch context width"],
        values: Float[Tensor, "batch context width"],
        context_valid: Bool[Tensor, "batch context"] | None = None,
    ) -> Float[Tensor, "batch query width"]:
        """Attend to the valid context; every row needs at least one valid token."""
        attended = F.scaled_dot_product_attention(
            self._split(self.to_query(queries)),
            self._split(self.to_key(keys)),
            self._split(self.to_value(values)),
            attn_mask=None if context_valid is None else context_valid[:, None, None, :],
        )
        return self.to_output(rearrange(attended, "b h n d -> b n (h d)"))  # type: ignore[no-any-return]

    def _split(
        self, tokens: Float[Tensor, "batch length width"]
    ) -> Float[Tensor, "batch num_heads length head_width"]:
        return rearrange(tokens, "b n (h d) -> b h n d", h=self.num_heads)
