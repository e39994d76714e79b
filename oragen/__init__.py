"""Gender, age and mask type of a speaking person, from voice and face."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oragen.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]


def __getattr__(name: str) -> object:
    """Import what answers about clips only when it is asked for: that takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from oragen import predictor

    return getattr(predictor, name)
