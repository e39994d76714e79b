"""The configuration of a speech transformer -> what its convolutions do to samples and padding."""

import math
from typing import TypeVar

from jaxtyping import Int64
from torch import Tensor
from transformers import PretrainedConfig

Count = TypeVar("Count", int, Int64[Tensor, " batch"])


def normalises_over_time(config: PretrainedConfig) -> bool:
    """Return whether the front end normalises over all samples, padding included.

    wav2vec2-base does; data2vec never does and has no such field.
    """
    return bool(getattr(config, "feat_extract_norm", "layer") != "layer")


def hides_padding(config: PretrainedConfig) -> bool:
    """Return whether nothing of the padding reaches the output if there is an attention mask.

    The positional convolutions of data2vec follow each other, and the later ones see its padding.
    """
    return not normalises_over_time(config) and config.model_type != "data2vec-audio"


def count_steps(config: PretrainedConfig, num_samples: Count) -> Count:
    """Return the number of audio frames of so many samples, if these are enough for one."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        num_samples = (num_samples - kernel) // stride + 1
    return num_samples


def samples_between_steps(config: PretrainedConfig) -> int:
    """Return the number of samples from the beginning of an audio frame to that of the next."""
    return math.prod(config.conv_stride)


def samples_of_one_step(config: PretrainedConfig) -> int:
    """Return the least number of samples that give an audio frame."""
    num_samples = 1
    layers = [*zip(config.conv_kernel, config.conv_stride, strict=True)]
    for kernel, stride in reversed(layers):
        num_samples = (num_samples - 1) * stride + kernel
    return num_samples
