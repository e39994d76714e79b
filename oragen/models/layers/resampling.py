"""A sequence of fixed length -> fewer, wider tokens."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TokenResampling(nn.Module):
    """Learned linear maps over time, then over features, each only where a size changes.

    Args:
        length: tokens that come in.
        num_tokens: tokens that go out.
        width: size of a token that comes in.
        width_out: size of a token that goes out.
    """

    def __init__(self, *, length: int, num_tokens: int, width: int, width_out: int) -> None:
        super().__init__()
        self.over_time = _linear_if_needed(length, num_tokens)
        self.over_features = _linear_if_needed(width, width_out)

    def forward(
        self, states: Float[Tensor, "batch length width"]
    ) -> Float[Tensor, "batch num_tokens width_out"]:
        if isinstance(self.over_time, nn.Linear):
            states = _map_over_time(self.over_time, states)
        return self.over_features(states)  # type: ignore[no-any-return]


def _map_over_time(
    linear: nn.Linear, states: Float[Tensor, "batch length width"]
) -> Float[Tensor, "batch num_tokens width"]:
    """Apply `linear` over the length, without a transposed copy of the states."""
    batch, _, width = states.shape
    bias = linear.bias[:, None].expand(batch, -1, width)  # num_tokens -> batch, num_tokens, width
    return torch.baddbmm(bias, linear.weight.expand(batch, -1, -1), states)


def _linear_if_needed(size_in: int, size_out: int) -> nn.Module:
    return nn.Identity() if size_in == size_out else nn.Linear(size_in, size_out)
