"""What can be chosen of heads."""

from typing import Final, Literal

HeadName = Literal[
    "shared",  # cross-modal attention, one trunk for all tasks
    "separate",  # ... a branch and output layers of its own for each task
    "joint",  # ... a branch for each task, output layers on their sum: the published final model
    "cross_attention",  # our own, on all audio frames and all crops
    "audio_only",
    "face_only",
    "concatenation",
    "late_fusion",
    "frozen_probe",  # logistic and ridge regression on averaged features: what a head must beat
    "frozen_probe_audio",
    "frozen_probe_face",
    "off_the_shelf",  # what the off-the-shelf networks say of the face; nothing is trained
]
AudioLayerUse = Literal[  # of layers of an encoder that lie side by side in the features
    "joined",  # all of them, as wide as they are together
    "weighted",  # their sum, with learned weights
]
WITHOUT_LAYER_WEIGHTS: Final[tuple[HeadName, ...]] = (
    "face_only", "frozen_probe", "frozen_probe_audio", "frozen_probe_face", "off_the_shelf",
)  # fmt: skip
MaskTypeTraining = Literal[
    "none",
    "together",  # with gender and age from the start
    "afterwards",  # an output layer of its own, on what is frozen then
    "afterwards_with_new_output_layers",  # of all tasks, on what is frozen then
]
