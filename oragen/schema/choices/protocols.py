"""What can be chosen of how models are selected and scored."""

from typing import Literal

EvaluationProtocol = Literal[
    "clean",  # select on dev, score every clip of test once, mean over the windows
    "paper",  # train and dev merged, last epoch, most frequent class; majority baseline
]
