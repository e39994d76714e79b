"""What can be chosen of how clips are grouped in a report, beside gender, age and mask type."""

from typing import Final

GROUP_COLUMNS: Final = ("corpus", "camera", "language")  # of the clips table; corpora may add more
