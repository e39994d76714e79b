"""Sizes -> vectors that a network learns: of its tasks, modalities and layers."""

import torch
from torch import nn


def draw_embeddings(*sizes: int) -> nn.Parameter:
    """Draw small random numbers, of mean 0 and standard deviation 0.02."""
    return nn.Parameter(nn.init.normal_(torch.empty(*sizes), std=0.02))
