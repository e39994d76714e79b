"""A head's name and sizes -> the head."""

from collections.abc import Collection
from typing import assert_never

from torch import nn

from oragen.models.heads.baselines import ConcatenationHead, LateFusionHead, UnimodalHead
from oragen.models.heads.contract import Head, HeadSizes, HeadSpec
from oragen.models.heads.cross_attention import CrossAttentionHead
from oragen.models.heads.frozen_probe import FrozenProbeHead
from oragen.models.heads.mtcma import MtcmaHead, SharedTrunkHead
from oragen.models.heads.off_the_shelf import OffTheShelfHead
from oragen.models.heads.output_layers import OutputLayers
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import Task


def build_head(  # noqa: C901  # one case a head
    name: HeadName,
    sizes: HeadSizes,
    *,
    width: int = 256,
    num_heads: int = 4,
    dropout: float = 0.1,
    std_correction: int = 0,
    audio_layers: int = 1,
) -> Head:
    """Build a head with fresh weights.

    Args:
        name: which one, see `HeadName`.
        sizes: of the features and the output.
        width: size of its hidden vectors, divisible by `num_heads`.
        num_heads: heads of its attentions.
        dropout: probability, in training.
        std_correction: see `StatisticsPooling`.
        audio_layers: of the encoder, whose widths lie side by side in the audio; the head learns
            their weights. 1: audio is taken as it is.

    Raises:
        ValueError: the audio is not as wide as so many layers.
    """
    spec = HeadSpec(name, sizes, width, num_heads, dropout, std_correction, audio_layers)
    match name:
        case "shared":
            return SharedTrunkHead(spec)
        case "separate":
            return MtcmaHead(spec, decide_on_sum=False)
        case "joint":
            return MtcmaHead(spec, decide_on_sum=True)
        case "cross_attention":
            return CrossAttentionHead(spec)
        case "audio_only":
            return UnimodalHead(spec, modality="audio")
        case "face_only":
            return UnimodalHead(spec, modality="face")
        case "concatenation":
            return ConcatenationHead(spec)
        case "late_fusion":
            return LateFusionHead(spec)
        case "frozen_probe":
            return FrozenProbeHead(spec)
        case "frozen_probe_audio":
            return FrozenProbeHead(spec, modality="audio")
        case "frozen_probe_face":
            return FrozenProbeHead(spec, modality="face")
        case "off_the_shelf":
            return OffTheShelfHead(spec)
        case _:
            assert_never(name)


def train_only_output_layers(head: Head, tasks: Collection[Task]) -> None:
    """Freeze a head except the output layers of some tasks, which are initialised again.

    The published mask models are trained so, on a head that has learned gender and age: the first
    with `{"mask_type"}`, the second with all three.
    """
    head.requires_grad_(False)
    for module in head.modules():
        if isinstance(module, OutputLayers):
            for task in tasks:
                layer = module.get_submodule(task).requires_grad_(True)
                assert isinstance(layer, nn.Linear)
                layer.reset_parameters()
