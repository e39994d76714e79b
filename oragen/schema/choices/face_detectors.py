"""What can be chosen of the detection of faces."""

from typing import Literal

DetectorName = Literal["yunet", "cascade", "none"]
# `auto` is YuNet where its weights are, else the cascade; no key holds it.
DetectorChoice = Literal["auto", "yunet", "cascade", "none"]
