"""What can be chosen of how a clip is prepared for a model."""

from typing import Literal

PreprocessingRules = Literal[
    "oragen",
    "published_inference",  # as chimera_ml's inference prepares clips for the released model
]
CropShape = Literal[
    "square",
    "rectangle",  # the box and a margin, squeezed to a square
]
