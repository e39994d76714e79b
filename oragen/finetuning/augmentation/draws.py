"""A generator -> random yes or no, numbers, choices."""

from collections.abc import Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")


def happens(probability: float, generator: torch.Generator) -> bool:
    """Return True with a probability: never at 0, always at 1."""
    return torch.rand((), generator=generator).item() < probability


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def choose(items: Sequence[Item], generator: torch.Generator) -> Item:
    return items[int(torch.randint(len(items), (), generator=generator).item())]
