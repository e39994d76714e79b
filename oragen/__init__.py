"""Clips of a speaking person -> gender, age and mask type, from voice and face."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oragen.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]


def __getattr__(name: str) -> object:
    """Import the predictor only when it is used: the import takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from oragen import predictor

    return getattr(predictor, name)
