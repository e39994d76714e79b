"""What can be chosen of windows."""

from typing import Literal

WindowRule = Literal[
    "every_overlap",
    "paper",  # misses some pieces of speech, as published
]
