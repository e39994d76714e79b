"""What can be chosen of the detection of faces."""

from typing import Literal

DetectorName = Literal["yunet", "cascade", "none"]
