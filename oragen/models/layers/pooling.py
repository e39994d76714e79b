"""Tokens of a window -> one vector: their mean, or with it their standard deviation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class StatisticsPooling(nn.Module):
    """Mean and standard deviation over the valid tokens, side by side.

    Args:
        correction: subtracted from the number of tokens in the variance. The two published
            implementations differ: 1 in markitantov/ORAGEN, 0 in chimera_ml. Where too few tokens
            are left for it, the deviation is 0.
    """

    def __init__(self, correction: int = 0) -> None:
        super().__init__()
        self.correction = correction

    def forward(
        self,
        tokens: Float[Tensor, "batch length width"],
        valid: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch twice_width"]:
        """Pool over the tokens; a row without a valid token becomes zeros."""
        if valid is None:
            valid = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
        num_valid = valid.sum(dim=1, keepdim=True)  # batch, 1
        kept = tokens.masked_fill(~valid[..., None], 0.0)
        mean = kept.sum(dim=1) / num_valid.clamp(min=1)
        centred = (kept - mean[:, None]).masked_fill(~valid[..., None], 0.0)
        variance = centred.square().sum(dim=1) / (num_valid - self.correction).clamp(min=1)
        return torch.cat([mean, safe_sqrt(variance)], dim=-1)  # batch, width -> batch, 2 width


def mean_of_valid(
    tokens: Float[Tensor, "batch length width"], valid: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch width"]:
    """Average over the valid tokens; a row without one becomes zeros."""
    kept = tokens.masked_fill(~valid[..., None], 0.0)
    return kept.sum(dim=1) / valid.sum(dim=1, keepdim=True).clamp(min=1)


def safe_sqrt(squares: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Square root whose gradient at 0 is 0 and not infinite."""
    positive = squares > 0
    return torch.where(positive, squares, 1.0).sqrt() * positive
