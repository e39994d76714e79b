"""An encoder <-> the plain description from which it is built again, without its weights."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from oragen.models.encoder_configs import check_config
from oragen.models.outline import outlining
from oragen.models.unimodal.front_end import WHISPER
from oragen.models.unimodal.timm_vit import TimmVit

Encoder: TypeAlias = PreTrainedModel | TimmVit

NOT_ARCHITECTURE: Final = ("model_type", "transformers_version", "architectures", "_name_or_path")


def describe_encoder(encoder: Encoder) -> dict[str, object]:
    """Describe an encoder in plain JSON, with all values, also the defaults."""
    if isinstance(encoder, TimmVit):
        return encoder.description
    config = json.loads(encoder.config.to_json_string(use_diff=False))
    return {
        "library": "transformers",
        "model_type": encoder.config.model_type,
        "config": {key: value for key, value in config.items() if key not in NOT_ARCHITECTURE},
        "has_pooler": _has_pooler(encoder),
    }


def outline_encoder(description: Mapping[str, Any]) -> Encoder:
    """Build the encoder on the `meta` device: it has shapes and takes no memory.

    Raises:
        ValueError: the description is of no known encoder.
        EncoderConfigError: it asks for what no encoder has.
    """
    with outlining():
        return _build(description)


def build_encoder(description: Mapping[str, Any]) -> Encoder:
    """Build the encoder without weights: its parameters are on the `meta` device if possible.

    Raises:
        ValueError: the description is of no known encoder.
        EncoderConfigError: it asks for what no encoder has.
    """
    encoder = outline_encoder(description)
    # Buffers that are not saved must be computed, which `meta` does not do.
    return _build(description) if _computes_buffers(encoder) else encoder


def _build(description: Mapping[str, Any]) -> Encoder:
    match description["library"]:
        case "transformers":
            return _build_from_config(description)
        case "timm":
            return TimmVit.from_description(description)
        case library:
            raise ValueError(f"unknown library {library!r}, expected transformers or timm")


def _build_from_config(description: Mapping[str, Any]) -> PreTrainedModel:
    model_type, fields = description["model_type"], description["config"]
    check_config(model_type, fields)
    config = AutoConfig.for_model(model_type, **fields)
    with torch.random.fork_rng(devices=[]):  # the caller's randomness stays as it was
        encoder = build_network(config)
    if _has_pooler(encoder) and not description["has_pooler"]:
        encoder.register_module("pooler", None)
    return encoder


def build_network(config: PreTrainedConfig) -> PreTrainedModel:
    """Build the network of a config with fresh weights; of Whisper the encoder alone."""
    network: PreTrainedModel
    if config.model_type == WHISPER:
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        network = WhisperEncoder._from_config(config)
    else:
        network = AutoModel.from_config(config, trust_remote_code=False)
    return network


def _has_pooler(encoder: PreTrainedModel) -> bool:
    return "pooler" in dict(encoder.named_children())


def _computes_buffers(encoder: Encoder) -> bool:
    saved = encoder.state_dict().keys()
    return any(name not in saved for name, _ in encoder.named_buffers())
