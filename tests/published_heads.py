"""State dicts of published fusion models."""

import torch
from torch import Tensor

from oragen.models.heads import PUBLISHED_HEADS, PublishedLevel, build_head
from oragen.models.heads.published_names import place, published_sizes


def make_published_head(model: str, level: PublishedLevel) -> dict[str, Tensor]:
    """Make a state dict that a published class would have; only at `LATE` is it small."""
    generator = torch.Generator().manual_seed(6)
    return {
        name: torch.randn(shape, generator=generator) * 0.1
        for name, shape in shapes_of_published_head(model, level).items()
    }


def shapes_of_published_head(model: str, level: PublishedLevel) -> dict[str, tuple[int, ...]]:
    description = PUBLISHED_HEADS[model]
    with torch.device("meta"):
        head = build_head(description.name, published_sizes(description, level))
    places = [
        place(description, level, name, tuple(weight.shape))
        for name, weight in head.state_dict().items()
    ]
    return {where.name: where.shape for where in places}
