"""A published unimodal model -> its encoder's config: as released, or read off its weights."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal

from torch import Tensor

from oragen.models.unimodal.published_names import PublishedModel, current_name

PublishedSource = Literal[
    "orig",  # markitantov/ORAGEN
    "chimera",  # chimera_ml examples/oragen: the released weights
]

LARGE_SPEECH_ENCODER: Final[Mapping[str, Any]] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "conv_bias": True,
}
NUM_AGE_CLASSES: Final = 9  # of nateraw/vit-age-classifier; nothing uses its classifier
HEAD_WIDTH: Final = 64  # of an attention head, in all released encoders


def released_config(description: PublishedModel, source: PublishedSource) -> Mapping[str, Any]:
    """Return the config of the encoder that was released with a model."""
    match description.encoder, description.pooling, source:
        case "vit", _, _:
            return {"num_labels": NUM_AGE_CLASSES}
        case "wav2vec2", "transformer", "orig":
            return {**LARGE_SPEECH_ENCODER, "num_hidden_layers": 12}
        case _:
            return LARGE_SPEECH_ENCODER


def infer_config(
    description: PublishedModel, published: Mapping[str, Tensor], source: PublishedSource
) -> dict[str, Any]:
    """Read an encoder's sizes off a published state dict; the rest is as released.

    Weights do not show the number of attention heads: each is taken to be 64 wide.
    """
    weights = {current_name(name): tensor for name, tensor in published.items()}
    layers = [int(found[1]) for name in weights if (found := re.search(r"\.layers\.(\d+)\.", name))]
    sizes = Counter(
        tuple(tensor.shape)
        for name, tensor in weights.items()
        if re.search(r"\.layers\.\d+\.(feed_forward\.intermediate_dense|mlp\.fc1)\.weight$", name)
    )
    config = dict(released_config(description, source))
    if layers and sizes and len(shape := sizes.most_common(1)[0][0]) == 2:
        intermediate_size, hidden_size = shape
        config |= {
            "num_hidden_layers": max(layers) + 1,
            "intermediate_size": intermediate_size,
            "hidden_size": hidden_size,
            "num_attention_heads": max(1, hidden_size // HEAD_WIDTH),
        }
    if (classifier := weights.get("vit_model.classifier.weight")) is not None and classifier.ndim:
        config["num_labels"] = len(classifier)
    return config
