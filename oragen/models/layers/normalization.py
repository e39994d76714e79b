"""Hidden states of several encoder layers -> comparable tokens."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class PerLayerNorm(nn.Module):
    """Layer normalization with a scale and a shift of its own for every encoder layer.

    The hidden states of a transformer grow with depth and live in different bases, so one affine
    map for all of them would favour the last ones.
    """

    def __init__(self, num_layers: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_layers, width))
        self.shift = nn.Parameter(torch.zeros(num_layers, width))

    def forward(
        self, states: Float[Tensor, "*batch layers width"]
    ) -> Float[Tensor, "*batch layers width"]:
        return F.layer_norm(states, states.shape[-1:]) * self.scale + self.shift
