"""Everything that embeddings depend on, but for the input -> one hash."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import nn
from transformers import PreTrainedModel

from oragen.encoders.source import is_unused
from oragen.models.unimodal import UnimodalAudioModel, UnimodalFaceModel
from oragen.models.unimodal.audio_pooling import MeanPooling, TransformerPooling
from oragen.models.unimodal.face_pooling import GatedPooling, SelfAttentionPooling
from oragen.models.unimodal.timm_vit import TimmVit

_NOT_ARCHITECTURE: Final = ("transformers_version", "architectures", "dtype", "_name_or_path")

Network = PreTrainedModel | TimmVit | UnimodalAudioModel | UnimodalFaceModel


def fingerprint(network: Network, preparation: Mapping[str, object]) -> str:
    """Return the SHA-256 of a network's weights, its architecture, and how its input is prepared.

    Of a unimodal model the decisions do not count: no features depend on them.
    """
    match network:
        case UnimodalAudioModel() | UnimodalFaceModel():
            summary = _describe_pooling(network.summary)
            described = {**_describe(network.encoder), "summary": summary}
            parts: list[nn.Module] = [network.encoder, network.summary]
        case _:
            described, parts = _describe(network), [network]
    described["input"] = preparation
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for part in parts:
        for chunk in _list_weights(part):
            digest.update(chunk)
    return digest.hexdigest()


def _describe(encoder: PreTrainedModel | TimmVit) -> dict[str, Any]:
    if isinstance(encoder, TimmVit):
        return encoder.description
    architecture: dict[str, Any] = encoder.config.to_diff_dict()
    return {key: value for key, value in architecture.items() if key not in _NOT_ARCHITECTURE}


def _describe_pooling(
    summary: TransformerPooling | MeanPooling | SelfAttentionPooling | GatedPooling,
) -> dict[str, object]:
    """Tell what the shapes of the weights do not tell."""
    correction = None if isinstance(summary, MeanPooling) else summary.pool.correction
    return {"name": type(summary).__name__, "std_correction": correction}


def _list_weights(part: nn.Module) -> Iterator[bytes]:
    for name, tensor in sorted(part.state_dict().items()):
        if not is_unused(name):
            yield f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode()
            yield tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
