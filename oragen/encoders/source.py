"""Where encoders come from, and what tells one from another."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import torch
from transformers import AutoModel, PreTrainedModel

from oragen.schema import UserError

Precision = Literal["fp32", "bf16", "fp16"]
AUTOCAST_TYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}
EMBEDDED: Final = "embedded"
UNUSED_WEIGHTS: Final = ("pooler.", "masked_spec_embed", "embeddings.mask_token")


class EncoderError(UserError):
    """An encoder cannot be had, or is of the wrong kind."""


@contextmanager
def explained(source: str, revision: str | None) -> Iterator[None]:
    """Turn a failing download or folder into one sentence."""
    try:
        yield
    except (OSError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise EncoderError(
            f"Encoder {source!r} (revision {revision or 'main'}) cannot be loaded: {first_line} "
            "Give a hub id, a folder made by save_pretrained, or `embedded`; without network, "
            "download it once with `huggingface-cli download`."
        ) from error


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which a network runs at a precision; fp32 is exact."""
    number_type = AUTOCAST_TYPES.get(precision, torch.bfloat16)
    return torch.autocast(device.type, number_type, enabled=precision in AUTOCAST_TYPES)


def load_complete(source: str, revision: str | None) -> PreTrainedModel:
    """Load a model whose every weight that matters comes from the checkpoint.

    A weight that is missing there would be random, other on every run: refused, but for those
    that no embedding depends on.

    Raises:
        EncoderError: when it cannot be had or is not complete.
    """
    model: PreTrainedModel
    with explained(source, revision):
        model, report = AutoModel.from_pretrained(
            source, revision=revision, output_loading_info=True
        )
    if missing := [name for name in report["missing_keys"] if not _is_unused(name)]:
        raise EncoderError(
            f"Encoder {source!r} lacks {len(missing)} weights of a {model.config.model_type}, e.g. "
            f"{missing[0]}: it was saved from another kind of model."
        )
    return model


def fingerprint(model: PreTrainedModel) -> str:
    """Return the SHA-256 of a model's weights and of the architecture that uses them."""
    architecture = model.config.to_diff_dict()
    for name in ("transformers_version", "architectures", "dtype", "_name_or_path"):
        architecture.pop(name, None)
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        if not _is_unused(name):
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_unused(name: str) -> bool:
    return name.startswith(UNUSED_WEIGHTS)
