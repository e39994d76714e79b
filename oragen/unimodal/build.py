"""An encoder, the name of a summary and the numbers of classes -> a unimodal model."""

from typing import Literal, assert_never

from transformers import PreTrainedModel

from oragen.unimodal.audio import UnimodalAudioModel
from oragen.unimodal.audio_summaries import MeanSummary, TransformerSummary
from oragen.unimodal.decisions import Decisions
from oragen.unimodal.face import UnimodalFaceModel
from oragen.unimodal.face_summaries import GatedSummary, SelfAttentionSummary
from oragen.unimodal.timm_vit import TimmVit

AudioSummaryName = Literal[
    "transformer",  # transformer blocks and statistics pooling: ORAGEN
    "mean",  # mean over time and a perceptron for each task: audEERING's age-gender models
]
FaceSummaryName = Literal[
    "self_attention",  # scaled dot-product self-attention over the layers: SDPSA, "DPAL"
    "gated",  # two views of the layers mixed by a gate: GSA
]


def build_audio_model(
    encoder: PreTrainedModel,
    summary: AudioSummaryName = "transformer",
    *,
    num_genders: int = 2,
    num_mask_types: int = 0,
    std_correction: int = 0,
    age_as_fraction: bool = False,
) -> UnimodalAudioModel:
    """Put a summary and decisions of the published sizes on a speech encoder.

    Args:
        encoder: wav2vec 2.0, HuBERT or WavLM of any size; it is not frozen.
        summary: how the audio frames become one vector.
        num_genders: classes of gender.
        num_mask_types: classes of mask type; 0 leaves the task out.
        std_correction: of the pooling, see `StatisticsPooling`.
        age_as_fraction: see `Decisions`.
    """
    width = encoder.config.hidden_size
    match summary:
        case "transformer":
            summarise: TransformerSummary | MeanSummary = TransformerSummary(
                width, std_correction=std_correction
            )
            hidden_width = None
        case "mean":
            summarise, hidden_width = MeanSummary(width), width
        case _:
            assert_never(summary)
    decisions = Decisions(
        summarise.width,
        num_genders=num_genders,
        num_mask_types=num_mask_types,
        hidden_width=hidden_width,
        dropout=encoder.config.final_dropout,
        age_as_fraction=age_as_fraction,
    )
    return UnimodalAudioModel(encoder, summarise, decisions)


def build_face_model(
    encoder: PreTrainedModel | TimmVit,
    summary: FaceSummaryName = "self_attention",
    *,
    num_genders: int = 2,
    num_mask_types: int = 0,
) -> UnimodalFaceModel:
    """Put a summary and decisions of the published sizes on a vision transformer.

    Args:
        encoder: of any size; it is not frozen.
        summary: how the CLS rows become one vector.
        num_genders: classes of gender.
        num_mask_types: classes of mask type; 0 leaves the task out.
    """
    width = encoder.config.hidden_size
    match summary:
        case "self_attention":
            summarise: SelfAttentionSummary | GatedSummary = SelfAttentionSummary(width)
        case "gated":
            summarise = GatedSummary(width)
        case _:
            assert_never(summary)
    decisions = Decisions(summarise.width, num_genders=num_genders, num_mask_types=num_mask_types)
    return UnimodalFaceModel(encoder, summarise, decisions)
