"""Small unimodal models, and published state dicts for them."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    ViTConfig,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from oragen.models.unimodal import (
    PublishedSource,
    UnimodalAudioModel,
    UnimodalFaceModel,
    build_audio_model,
    build_face_model,
)
from oragen.models.unimodal.published_names import PUBLISHED, place
from oragen.schema.choices.encoders import AudioPoolingName, FacePoolingName

SPEECH_CONFIG: Final[Mapping[str, Any]] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
    "layerdrop": 0.0,
    "initializer_range": 0.2,
}
FACE_CONFIG: Final[Mapping[str, Any]] = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 5,
    "initializer_range": 0.2,
}


def make_speech_encoder(kind: str) -> PreTrainedModel:
    torch.manual_seed(3)
    no_masking = {**SPEECH_CONFIG, "mask_time_prob": 0.0}
    match kind:
        case "wav2vec2":
            return Wav2Vec2Model(Wav2Vec2Config(**no_masking))
        case "wav2vec2-base":  # its front end normalises over time
            base = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
            return Wav2Vec2Model(Wav2Vec2Config(**{**no_masking, **base}))
        case "hubert":
            return HubertModel(HubertConfig(**no_masking))
        case "data2vec":  # its config does not say how the front end normalises
            del no_masking["feat_extract_norm"]
            return Data2VecAudioModel(Data2VecAudioConfig(**no_masking))
        case "wavlm":
            return WavLMModel(WavLMConfig(**no_masking))
        case _:
            raise AssertionError(kind)


def make_audio_model(
    kind: str = "wav2vec2", pooling: AudioPoolingName = "transformer", **options: Any
) -> UnimodalAudioModel:
    encoder = make_speech_encoder(kind)
    return build_audio_model(encoder, pooling, **options).eval()


def make_face_model(
    pooling: FacePoolingName = "self_attention", **options: Any
) -> UnimodalFaceModel:
    torch.manual_seed(4)
    encoder = ViTModel(ViTConfig(**FACE_CONFIG), add_pooling_layer=False)
    return build_face_model(encoder, pooling, **options).eval()


def tiny_config(model: str) -> Mapping[str, Any]:
    return FACE_CONFIG if PUBLISHED[model].encoder == "vit" else SPEECH_CONFIG


def make_published(
    model: str, source: PublishedSource = "chimera", config: Mapping[str, Any] | None = None
) -> dict[str, Tensor]:
    """Make a state dict that a published class with a tiny encoder would have."""
    description, generator = PUBLISHED[model], torch.Generator().manual_seed(5)
    config = config or tiny_config(model)
    match description.encoder:
        case "wav2vec2":
            encoder: PreTrainedModel = Wav2Vec2Model(Wav2Vec2Config(**config))
        case "hubert":
            encoder = HubertModel(HubertConfig(**config))
        case "vit":
            encoder = ViTModel(ViTConfig(**config), add_pooling_layer=False)
    match description.pooling:
        case "transformer" | "mean" as audio_pooling:
            ours: torch.nn.Module = build_audio_model(encoder, audio_pooling)
        case "self_attention" | "gated" as face_pooling:
            ours = build_face_model(encoder, face_pooling)
    places = [
        place(description, name, tuple(weight.shape), num_genders=2)
        for name, weight in ours.state_dict().items()
    ]
    shapes: dict[str, tuple[int, ...]] = {where.name: where.shape for where in places}
    width = encoder.config.hidden_size
    if description.encoder == "vit":
        shapes |= {"vit_model.classifier.weight": (5, width), "vit_model.classifier.bias": (5,)}
    if source == "orig" and description.pooling == "transformer":
        for block in (1, 2):
            for kind in ("weight", "bias"):
                shapes[f"transformer_block{block}.feed_forward.layer_norm.{kind}"] = (width,)
    return {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes.items()}
