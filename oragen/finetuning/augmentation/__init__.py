"""Waveforms and face crops -> augmented ones, to fine-tune encoders on.

Every function takes its generator: equal generators lead to equal results.
"""

from oragen.finetuning.augmentation.crops import AugmentedCrop, CropAugmentation, augment_crop
from oragen.finetuning.augmentation.masks import CoveredCrop, can_cover, cover_face
from oragen.finetuning.augmentation.waveforms import (
    AugmentedWaveform,
    WaveformAugmentation,
    augment_waveform,
)

__all__ = [
    "AugmentedCrop",
    "AugmentedWaveform",
    "CoveredCrop",
    "CropAugmentation",
    "WaveformAugmentation",
    "augment_crop",
    "augment_waveform",
    "can_cover",
    "cover_face",
]
