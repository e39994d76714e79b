"""What can be chosen of how windows are drawn for training."""

from typing import Literal

Balanced = Literal["corpus", "gender", "mask_type", "age"]  # what windows are drawn equally by
