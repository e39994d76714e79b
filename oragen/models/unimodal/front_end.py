"""The configuration of a speech transformer -> what becomes of samples and padding in it.

Most take waveforms, through convolutions. Whisper and w2v-BERT 2.0 take spectrograms, which their
feature extractors make: a column each 10 ms, two columns an audio frame.
"""

import math
from typing import Final, TypeVar

from jaxtyping import Int64
from torch import Tensor
from transformers import PretrainedConfig

Count = TypeVar("Count", int, Int64[Tensor, " batch"])

WHISPER: Final = "whisper"
W2V_BERT: Final = "wav2vec2-bert"
HOP_SAMPLES: Final = 160  # from one column of a spectrogram to the next
COLUMNS_A_STEP: Final = 2
STEP_SAMPLES: Final = HOP_SAMPLES * COLUMNS_A_STEP
W2V_BERT_COLUMN_SAMPLES: Final = 400  # that one column is made of
MIN_W2V_BERT_SAMPLES: Final = W2V_BERT_COLUMN_SAMPLES + HOP_SAMPLES  # two columns


def takes_spectrograms(config: PretrainedConfig) -> bool:
    """Return whether the network takes spectrograms, and not waveforms."""
    return config.model_type in (WHISPER, W2V_BERT)


def normalises_over_time(config: PretrainedConfig) -> bool:
    """Return whether the front end normalises over all samples, padding included.

    wav2vec2-base does; data2vec never does and has no such field.
    """
    return bool(getattr(config, "feat_extract_norm", "layer") != "layer")


def hides_padding(config: PretrainedConfig) -> bool:
    """Return whether nothing of the padding of a batch reaches the output.

    Most need an attention mask for that. The positional convolutions of data2vec follow each other,
    and the later ones see its padding. Whisper pads everything to 30 s of silence, in any batch.
    """
    return not normalises_over_time(config) and config.model_type != "data2vec-audio"


def longest_input(config: PretrainedConfig) -> int | None:
    """Return the most samples that the network takes at a time: Whisper 30 s; None: any number."""
    if config.model_type != WHISPER:
        return None
    return int(config.max_source_positions) * STEP_SAMPLES


def count_steps(config: PretrainedConfig, num_samples: Count) -> Count:
    """Return the number of audio frames of so many samples, if these are enough for one.

    Of Whisper only the frames that lie within the samples count, not those of the silence behind.
    """
    match config.model_type:
        case "whisper":
            return num_samples // STEP_SAMPLES
        case "wav2vec2-bert":
            return ((num_samples - W2V_BERT_COLUMN_SAMPLES) // HOP_SAMPLES + 1) // COLUMNS_A_STEP
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        num_samples = (num_samples - kernel) // stride + 1
    return num_samples


def samples_between_steps(config: PretrainedConfig) -> int:
    """Return the number of samples from the beginning of an audio frame to that of the next."""
    return STEP_SAMPLES if takes_spectrograms(config) else math.prod(config.conv_stride)


def samples_of_one_step(config: PretrainedConfig) -> int:
    """Return the least number of samples that give an audio frame."""
    match config.model_type:
        case "whisper":
            return STEP_SAMPLES
        case "wav2vec2-bert":
            return MIN_W2V_BERT_SAMPLES
    num_samples = 1
    layers = [*zip(config.conv_kernel, config.conv_stride, strict=True)]
    for kernel, stride in reversed(layers):
        num_samples = (num_samples - 1) * stride + kernel
    return num_samples
