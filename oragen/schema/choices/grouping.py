"""What can be chosen of how clips are grouped in a report, beside gender, age and mask type."""

from typing import Literal

GroupColumn = Literal["corpus", "camera", "language"]  # columns of the clips table
