"""Designed weights by name -> a small wav2vec 2.0 or ViT that needs no download.

Nothing in these encoders is trained. Their weights are computed, so that features describe the
signal: sound by frequency band, faces by place, colour and edge. With them the demo and the tests
run the real pipeline on a machine without network. They do not replace pretrained encoders.
"""

from typing import Any, Final, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedConfig, PreTrainedModel

SEED: Final = 20_261_122
# Sines and rotations differ in their last bits from machine to machine. Weights rounded to
# multiples of this are equal everywhere, and so is the fingerprint that features are stored under.
WEIGHT_STEP: Final = 2.0**-16

Model = TypeVar("Model", bound=PreTrainedModel)
Weights = dict[str, Float[np.ndarray, "..."]]  # by the names of released checkpoints


def assemble(
    model_class: type[Model], config: PreTrainedConfig, weights: Weights, **options: Any
) -> Model:
    """Build a model from a complete set of weights."""
    rounded = {
        name: torch.from_numpy(np.round(values / WEIGHT_STEP) * WEIGHT_STEP).float()
        for name, values in weights.items()
    }
    with torch.random.fork_rng(devices=[]):  # the caller's randomness stays as it was
        loaded: Any = model_class.from_pretrained(
            None, config=config, state_dict=rounded, output_loading_info=True, **options
        )
    model: Model
    model, report = loaded
    assert not any(report.values()), report
    return model


def linear(
    name: str, weight: Float[np.ndarray, "out ..."], bias: Float[np.ndarray, " out"] | None = None
) -> Weights:
    """Name the weights of a linear map or a convolution; without a bias it is 0."""
    return {
        f"{name}.weight": weight,
        f"{name}.bias": np.zeros(len(weight)) if bias is None else bias,
    }


def norm(name: str, width: int, scale: float = 1.0) -> Weights:
    """Name the weights of a layer norm."""
    return {f"{name}.weight": np.full(width, scale), f"{name}.bias": np.zeros(width)}


def rotation(width: int, rng: np.random.Generator) -> Float[np.ndarray, "width width"]:
    """Draw an orthogonal matrix."""
    return np.asarray(np.linalg.qr(rng.standard_normal((width, width)))[0])
