"""Encoders of every kind with tiny networks, and what they encode."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    Dinov2Config,
    Dinov2Model,
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from oragen.encoders import (
    AudioEncoder,
    FaceEncoder,
    PublishedInput,
    load_audio_encoder,
    load_face_encoder,
)
from oragen.encoders.sounds import FeatureExtractor

SIZES: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
SPEECH: Final[dict[str, Any]] = SIZES | {
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0,
}
LAYER_NORM: Final = SPEECH | {
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
# Spectrograms of 2 s: longer sounds are encoded in pieces.
WHISPER: Final[dict[str, Any]] = {
    "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24,
    "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 24, "vocab_size": 8,
    "num_mel_bins": 8, "max_source_positions": 100, "pad_token_id": 0, "bos_token_id": 0,
    "eos_token_id": 0, "decoder_start_token_id": 0,
}  # fmt: skip
W2V_BERT: Final = SIZES | {"conv_depthwise_kernel_size": 5}
SMALL_VIT: Final = SIZES | {"image_size": 32, "patch_size": 8}

SPEECH_MODELS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "wav2vec2": lambda: Wav2Vec2Model(Wav2Vec2Config(**LAYER_NORM)),
    "wav2vec2 with group norm": lambda: Wav2Vec2Model(Wav2Vec2Config(**SPEECH)),
    "hubert": lambda: HubertModel(HubertConfig(**LAYER_NORM)),
    "wavlm": lambda: WavLMModel(WavLMConfig(**LAYER_NORM)),
    "data2vec": lambda: Data2VecAudioModel(Data2VecAudioConfig(**SPEECH)),
    "whisper": lambda: WhisperModel(WhisperConfig(**WHISPER)).get_encoder(),
    "w2v-bert": lambda: Wav2Vec2BertModel(Wav2Vec2BertConfig(**W2V_BERT)),
}
FACE_MODELS: Final[dict[str, Callable[[], PreTrainedModel]]] = {
    "vit": lambda: ViTModel(ViTConfig(**SMALL_VIT)),
    "vit without pooler": lambda: ViTModel(ViTConfig(**SMALL_VIT), add_pooling_layer=False),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**SMALL_VIT)),
}


def make_audio_encoder(name: str, layers: tuple[int, ...] | None = None) -> AudioEncoder:
    if name == "embedded":
        return load_audio_encoder("embedded")
    torch.manual_seed(1)
    return AudioEncoder(SPEECH_MODELS[name](), make_extractor(name), layers=layers)


def make_extractor(name: str) -> FeatureExtractor:
    match name:
        case "whisper":
            return WhisperFeatureExtractor(feature_size=8, chunk_length=2)
        case "w2v-bert":
            return SeamlessM4TFeatureExtractor(padding_value=1)
    return Wav2Vec2FeatureExtractor(return_attention_mask="group" not in name)


def make_face_encoder(name: str) -> FaceEncoder:
    if name == "embedded":
        return load_face_encoder("embedded")
    torch.manual_seed(1)
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    return FaceEncoder(FACE_MODELS[name](), processor)


def save_encoder(encoder: AudioEncoder | FaceEncoder, folder: Path) -> None:
    """Write a bare encoder in the way of the folders that people have."""
    encoder.network.save_pretrained(folder)  # type: ignore[operator]  # of transformers here
    preparation = encoder.extractor if isinstance(encoder, AudioEncoder) else encoder.processor
    assert not isinstance(preparation, PublishedInput)
    preparation.save_pretrained(folder)


def make_noise(num_samples: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=3000, size=num_samples)
    return noise.astype(np.int16)


def make_crops(number: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (number, 48, 48, 3), dtype=np.uint8))
