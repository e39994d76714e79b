"""The config of an encoder -> the same, known to be of a supported kind and of sizes that exist.

A config decides what is built, which memory that takes, and in transformers also what is run.
"""

from collections.abc import Mapping
from typing import Any, Final

from oragen.schema.strict_json import shorten

SPEECH_TYPES: Final = (
    "wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat", "sew",
    "wav2vec2-conformer", "wav2vec2-bert", "whisper",
)  # fmt: skip
VISION_TYPES: Final = (
    "vit", "deit", "beit", "data2vec-vision", "dinov2", "dinov2_with_registers", "dinov3_vit",
    "vit_mae", "vit_msn", "ijepa", "clip_vision_model", "siglip_vision_model",
)  # fmt: skip
# The largest encoders that were released have 48 layers of 2048 (XLS-R), or 40 of 4096 (DINOv3).
LARGEST: Final[Mapping[str, int]] = {
    "num_hidden_layers": 200,
    "hidden_size": 2**14,
    "intermediate_size": 2**17,
    "num_attention_heads": 2**10,
    "encoder_layers": 200,  # these four of Whisper
    "d_model": 2**14,
    "encoder_ffn_dim": 2**17,
    "encoder_attention_heads": 2**10,
    "num_mel_bins": 2**10,
    "max_source_positions": 2**14,
    "feature_projection_input_dim": 2**12,
    "conv_depthwise_kernel_size": 2**12,
    "image_size": 2**12,
    "patch_size": 2**12,
    "num_channels": 64,
    "num_labels": 10**5,
    "conv_dim": 2**14,
    "conv_kernel": 2**12,
    "conv_stride": 2**12,
    "num_conv_pos_embeddings": 2**12,
    "num_conv_pos_embedding_groups": 2**12,
}
LARGEST_NUMBER: Final = 10**6  # of all other sizes
LONGEST_LIST: Final = 64  # of numbers, such as the sizes of convolutions
ATTENTIONS: Final = (None, "eager", "sdpa", "flash_attention_2")  # another may be code of the hub


class EncoderConfigError(ValueError):
    """What a config asks for and must not; ends without a full stop."""


def check_config(model_type: object, config: Mapping[str, Any]) -> None:
    """Refuse a config of another kind of model, or of sizes that no encoder has.

    Args:
        model_type: of transformers.
        config: plain JSON.

    Raises:
        EncoderConfigError: names the field.
    """
    if model_type not in (*SPEECH_TYPES, *VISION_TYPES):
        raise EncoderConfigError(
            f"model_type is {shorten(repr(model_type))}, expected a speech transformer "
            f"({', '.join(SPEECH_TYPES)}) or a vision transformer ({', '.join(VISION_TYPES)})"
        )
    if config.get("quantization_config") is not None:
        raise EncoderConfigError("quantization_config is there, expected weights as trained")
    for key, value in config.items():
        if "attn_implementation" in key and value not in ATTENTIONS and not isinstance(value, bool):
            raise EncoderConfigError(f"{shorten(key)} is {shorten(repr(value))}, expected eager")
        _check_size(key, value)


def _check_size(key: str, value: object) -> None:
    largest = LARGEST.get(key, LARGEST_NUMBER)
    if isinstance(value, dict):
        for inner_key, inner in value.items():
            _check_size(inner_key, inner)
    elif isinstance(value, list):
        if key in LARGEST and len(value) > LONGEST_LIST:
            raise EncoderConfigError(f"{key} has {len(value)} entries, expected {LONGEST_LIST}")
        for inner in value:
            _check_size(key, inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        smallest = 1 if key in LARGEST else -largest
        is_size = isinstance(value, int) or key in LARGEST
        if is_size and not smallest <= value <= largest:
            raise EncoderConfigError(
                f"{shorten(key)} is {shorten(repr(value))}, expected {smallest} to {largest}"
            )
