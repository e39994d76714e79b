"""What can be chosen of features: how deep in an encoder, and in what it computes."""

from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]  # what a network computes in
Level = Literal[  # of an encoder's features
    "early",  # what enters its transformer
    "intermediate",  # what that makes of it
    "late",  # one vector, which the output layers take
    "pooled",  # mean and standard deviation of the intermediate ones: a hundred times smaller
]
