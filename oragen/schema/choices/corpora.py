"""What can be chosen of a corpus."""

from typing import Literal

Condition = Literal["studio", "phone"]  # of a generated corpus: how its clips are recorded
AgeSource = Literal["enrichment", "agevoxceleb"]  # of VoxCeleb2
Tracks = Literal["both", "audio", "video"]  # of VoxCeleb2
Images = Literal["original", "1024"]  # of IMDB-Clean: which pictures
SplitRule = Literal["official", "ours"]  # of Common Voice
