"""What can be chosen of detection and windows."""

from typing import Literal

DetectorName = Literal["yunet", "cascade", "none"]  # of faces
WindowRule = Literal[
    "every_overlap",
    "paper",  # misses some pieces of speech, as published
]
