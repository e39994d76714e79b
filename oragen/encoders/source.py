"""The name of an encoder -> the loaded network, or one sentence on why it cannot be loaded."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from transformers import AutoModel, PreTrainedModel

from oragen.models.folder import DESCRIPTION_FILE
from oragen.models.unimodal import SavedUnimodal, holds_unimodal, load_unimodal
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Level

UNUSED_WEIGHTS: Final = ("pooler.", "masked_spec_embed", "embeddings.mask_token")


class EncoderError(UserError):
    """An encoder cannot be loaded, or is of the wrong kind."""


@contextmanager
def explained(source: str, revision: str | None) -> Iterator[None]:
    """Turn the error of a download or folder into one sentence."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise EncoderError(
            f"Encoder {source!r} (revision {revision or 'main'}) cannot be loaded: {first_line} "
            "Give a hub id, a folder made by save_pretrained, `timm:NAME`, or `embedded`; without "
            "network, download it once with `huggingface-cli download`."
        ) from error


def load_complete(source: str, revision: str | None) -> PreTrainedModel:
    """Load a model, all of whose used weights are in the checkpoint.

    A missing weight would be random and differ on every run, so it is refused. Weights that no
    embedding depends on may be missing.

    Raises:
        EncoderError: it cannot be loaded, or is not complete.
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
    """Load the unimodal model of a fine-tuned encoder; None if `source` is no folder of one.

    Raises:
        EncoderError: the folder holds a head.
        UserError: the folder holds a damaged model.
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
        EncoderError: says how to get an encoder with this level.
    """
    if "late" in levels:
        raise EncoderError(
            f"Encoder {source!r} has no level `late`: that is the pooled vector of a fine-tuned "
            "model. Fine-tune it (`encoders.finetune` in params.yaml), convert a published "
            "checkpoint (`oragen convert`), or choose the level `intermediate` or `early`."
        )


def is_unused(name: str) -> bool:
    """Return whether no embedding depends on a weight."""
    return name.startswith(UNUSED_WEIGHTS)
