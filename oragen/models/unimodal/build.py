"""An encoder, the name of a pooling and the numbers of classes -> a unimodal model."""

from typing import Final, assert_never

from transformers import PreTrainedModel

from oragen.models.unimodal.audio import UnimodalAudioModel
from oragen.models.unimodal.audio_pooling import MeanPooling, TransformerPooling
from oragen.models.unimodal.face import UnimodalFaceModel
from oragen.models.unimodal.face_pooling import GatedPooling, SelfAttentionPooling
from oragen.models.unimodal.output_layers import OutputLayers
from oragen.models.unimodal.timm_vit import TimmVit
from oragen.schema.choices.encoders import AudioPoolingName, FacePoolingName

FINAL_DROPOUT: Final = 0.1  # of an encoder that names none, such as Whisper


def build_audio_model(
    encoder: PreTrainedModel,
    pooling: AudioPoolingName = "transformer",
    *,
    num_genders: int = 2,
    num_mask_types: int = 0,
    std_correction: int = 0,
    age_as_fraction: bool = False,
) -> UnimodalAudioModel:
    """Put pooling and output layers of the published sizes on a speech encoder.

    Args:
        encoder: a speech transformer of any size; it is not frozen.
        pooling: how the audio frames become one vector.
        num_genders: classes of gender.
        num_mask_types: classes of mask type; 0: not a task of the model.
        std_correction: of the pooling, see `StatisticsPooling`.
        age_as_fraction: see `OutputLayers`.
    """
    width = encoder.config.hidden_size
    match pooling:
        case "transformer":
            layers: TransformerPooling | MeanPooling = TransformerPooling(
                width, std_correction=std_correction
            )
            hidden_width = None
        case "mean":
            layers, hidden_width = MeanPooling(width), width
        case _:
            assert_never(pooling)
    output_layers = OutputLayers(
        layers.width,
        num_genders=num_genders,
        num_mask_types=num_mask_types,
        hidden_width=hidden_width,
        dropout=getattr(encoder.config, "final_dropout", FINAL_DROPOUT),
        age_as_fraction=age_as_fraction,
    )
    return UnimodalAudioModel(encoder, layers, output_layers)


def build_face_model(
    encoder: PreTrainedModel | TimmVit,
    pooling: FacePoolingName = "self_attention",
    *,
    num_genders: int = 2,
    num_mask_types: int = 0,
) -> UnimodalFaceModel:
    """Put pooling and output layers of the published sizes on a vision transformer.

    Args:
        encoder: of any size; it is not frozen.
        pooling: how the CLS rows become one vector.
        num_genders: classes of gender.
        num_mask_types: classes of mask type; 0: not a task of the model.
    """
    width = encoder.config.hidden_size
    match pooling:
        case "self_attention":
            layers: SelfAttentionPooling | GatedPooling = SelfAttentionPooling(width)
        case "gated":
            layers = GatedPooling(width)
        case _:
            assert_never(pooling)
    output_layers = OutputLayers(
        layers.width, num_genders=num_genders, num_mask_types=num_mask_types
    )
    return UnimodalFaceModel(encoder, layers, output_layers)
