"""A frozen network and how its input is prepared -> one hash, which its embeddings are kept under.

The hash covers everything that an embedding depends on, but for the input, the level and the
precision, which `FeatureSpec.key_of` adds.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import torch
from torch import nn
from transformers import PreTrainedModel

from oragen.encoders.source import is_unused
from oragen.models.unimodal import UnimodalAudioModel, UnimodalFaceModel
from oragen.models.unimodal.audio_pooling import MeanPooling, TransformerPooling
from oragen.models.unimodal.face_pooling import GatedPooling, SelfAttentionPooling
from oragen.models.unimodal.timm_vit import TimmVit

_NOT_ARCHITECTURE: Final = ("transformers_version", "architectures", "dtype", "_name_or_path")

Network: TypeAlias = PreTrainedModel | TimmVit | UnimodalAudioModel | UnimodalFaceModel
Pooling = TransformerPooling | MeanPooling | SelfAttentionPooling | GatedPooling

# Stored features of level `late` depend on these names: a change would compute them all again.
_HASHED_NAMES: Final[Mapping[type[nn.Module], str]] = {
    TransformerPooling: "TransformerSummary",
    MeanPooling: "MeanSummary",
    SelfAttentionPooling: "SelfAttentionSummary",
    GatedPooling: "GatedSummary",
}


def fingerprint(network: Network, preparation: Mapping[str, object]) -> str:
    """Return the SHA-256 of a network's weights, its architecture, and how its input is prepared.

    The output layers of a unimodal model do not count: no features depend on them.
    """
    match network:
        case UnimodalAudioModel() | UnimodalFaceModel():
            described = {
                **_describe(network.encoder),
                "summary": describe_pooling(network.summary),
            }
            modules: list[nn.Module] = [network.encoder, network.summary]
        case _:
            described, modules = _describe(network), [network]
    described["input"] = preparation
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for module in modules:
        for chunk in _list_weights(module):
            digest.update(chunk)
    return digest.hexdigest()


def describe_pooling(pooling: Pooling) -> dict[str, object]:
    """Describe what the shapes of a pooling's weights do not show."""
    correction = None if isinstance(pooling, MeanPooling) else pooling.pool.correction
    return {"name": _HASHED_NAMES[type(pooling)], "std_correction": correction}


def _describe(encoder: PreTrainedModel | TimmVit) -> dict[str, Any]:
    if isinstance(encoder, TimmVit):
        return encoder.description
    architecture: dict[str, Any] = encoder.config.to_diff_dict()
    return {key: value for key, value in architecture.items() if key not in _NOT_ARCHITECTURE}


def _list_weights(module: nn.Module) -> Iterator[bytes]:
    for name, tensor in sorted(module.state_dict().items()):
        if not is_unused(name):
            yield f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode()
            yield tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
