"""Small encoders with random weights, alone and in the folder of a unimodal model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from transformers import (
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

from oragen.models.unimodal import (
    build_audio_model,
    build_face_model,
    save_unimodal,
)

SIZES: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
SPEECH: Final[dict[str, Any]] = SIZES | {
    "conv_dim": (8,) * 7,
    "conv_bias": True,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0,
}
LAYER_NORM: Final[dict[str, Any]] = SPEECH | {
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
SPEECH_MODELS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "wav2vec2": lambda: Wav2Vec2Model(Wav2Vec2Config(**LAYER_NORM)),
    "wav2vec2 with group norm": lambda: Wav2Vec2Model(Wav2Vec2Config(**SPEECH)),
    "hubert": lambda: HubertModel(HubertConfig(**LAYER_NORM)),
}


def save_audio(folder: Path, name: str = "wav2vec2", metadata: dict[str, Any] | None = None) -> str:
    torch.manual_seed(1)
    model = build_audio_model(SPEECH_MODELS[name](), num_mask_types=6)
    save_unimodal(folder, model, metadata or {})
    if metadata is None:
        with_mask = "group" not in name
        Wav2Vec2FeatureExtractor(return_attention_mask=with_mask).save_pretrained(folder)
    return str(folder)


def save_face(folder: Path, metadata: dict[str, Any] | None = None) -> str:
    torch.manual_seed(1)
    vit = ViTModel(ViTConfig(**SIZES, image_size=32, patch_size=8), add_pooling_layer=False)
    save_unimodal(folder, build_face_model(vit), metadata or {})
    if metadata is None:
        ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)
