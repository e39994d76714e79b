"""Hidden layers of an encoder, side by side -> their weighted sum."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LayerWeights(nn.Module):
    """A weighted sum of layers with learned weights that are positive and add up to 1.

    As SUPERB does with the hidden states of a frozen encoder (arXiv 2105.01051, section 3).
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_layers))  # so that all begin with one weight

    def forward(
        self, joined: Float[Tensor, "batch length joined_width"]
    ) -> Float[Tensor, "batch length width"]:
        # batch, position, layer x width -> batch, position, layer, width
        layers = joined.unflatten(-1, (len(self.logits), -1))
        return torch.einsum("bplw,l->bpw", layers, self.logits.softmax(dim=0).to(layers.dtype))
