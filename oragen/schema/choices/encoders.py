"""What can be chosen of encoders that are fine-tuned."""

from typing import Literal

AudioPoolingName = Literal[
    "transformer",  # ORAGEN's: transformer blocks, then statistics over time
    "mean",  # mean over time, as audEERING's released model
]
FacePoolingName = Literal[
    "self_attention",  # SDPSA: scaled dot-product self-attention over the layers, then statistics
    "gated",  # GSA: a gate for each layer, then statistics
]
