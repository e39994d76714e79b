"""Where encoders come from, and in which precision they run."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from oragen.models.folder import DESCRIPTION_FILE
from oragen.models.unimodal import SavedUnimodal, holds_unimodal, load_unimodal
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Level, Precision

AUTOCAST_TYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}
INTERMEDIATE: Final[Level] = "intermediate"
EMBEDDED: Final = "embedded"
UNUSED_WEIGHTS: Final = ("pooler.", "masked_spec_embed", "embeddings.mask_token")


class EncoderError(UserError):
    """An encoder cannot be had, or is of the wrong kind."""


@contextmanager
def explained(source: str, revision: str | None) -> Iterator[None]:
    """Turn a failing download or folder into one sentence."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise EncoderError(
            f"Encoder {source!r} (revision {revision or 'main'}) cannot be loaded: {first_line} "
            "Give a hub id, a folder made by save_pretrained, `timm:NAME`, or `embedded`; without "
            "network, download it once with `huggingface-cli download`."
        ) from error


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which a network runs at a precision; fp32 is exact."""
    number_type = AUTOCAST_TYPES.get(precision, torch.bfloat16)
    return torch.autocast(device.type, number_type, enabled=precision in AUTOCAST_TYPES)


def unpooled(levels: Collection[Level]) -> list[Level]:
    """Return the levels that a network must compute: `pooled` is made of `intermediate`."""
    return [*dict.fromkeys(INTERMEDIATE if level == "pooled" else level for level in levels)]


def pool_positions(
    rows: Float[np.ndarray, "positions width"],
) -> Float[np.ndarray, "2 width"]:
    """Rows of the level `intermediate` -> `pooled`: their mean and standard deviation."""
    return np.stack([rows.mean(axis=0), rows.std(axis=0)])


@contextmanager
def keep_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a module gives inside the block."""
    kept: list[Tensor] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        yield kept
    finally:
        hook.remove()


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
    if missing := [name for name in report["missing_keys"] if not is_unused(name)]:
        raise EncoderError(
            f"Encoder {source!r} lacks {len(missing)} weights of a {model.config.model_type}, e.g. "
            f"{missing[0]}: it was saved from another kind of model."
        )
    return model


def load_finetuned(source: str) -> SavedUnimodal | None:
    """Load an encoder with all that was trained on it, where `source` is a folder of one.

    Raises:
        EncoderError: the folder holds a head.
        UserError: ... or a damaged model.
    """
    folder = Path(source)
    if not (folder / DESCRIPTION_FILE).is_file():
        return None
    if not holds_unimodal(folder):
        raise EncoderError(
            f"Encoder {source!r} is a head, which takes features; expected an encoder. Name one."
        )
    return load_unimodal(folder)


def refuse_late(source: str, levels: Collection[Level]) -> None:
    """Refuse the level `late` of an encoder alone.

    Raises:
        EncoderError: says how to get one that has it.
    """
    if "late" in levels:
        raise EncoderError(
            f"Encoder {source!r} has no level `late`: that is the vector from which a trained "
            "model decides. Fine-tune it (`encoders.finetune` in params.yaml), convert a published "
            "checkpoint (`oragen convert`), or choose the level `intermediate` or `early`."
        )


def is_unused(name: str) -> bool:
    """Tell whether no embedding depends on a weight."""
    return name.startswith(UNUSED_WEIGHTS)
