"""What goes wrong with an encoder -> one sentence."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from oragen.schema.errors import UserError

MAX_REASON: Final = 600  # letters; transformers lists all that it knows
# Errors of libraries that build a network from a config, or read its files.
_OF_LIBRARIES: Final = (
    OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, AssertionError,
    ArithmeticError, ImportError, StrictDataclassError, SafetensorError, pickle.UnpicklingError,
)  # fmt: skip


class EncoderError(UserError):
    """An encoder cannot be loaded, or is of the wrong kind."""


@contextmanager
def explained(source: str, revision: str | None) -> Iterator[None]:
    """Turn the error of a download or folder into one sentence."""
    try:
        yield
    except UserError:
        raise
    except _OF_LIBRARIES as error:
        reason = " ".join(str(error).split())[:MAX_REASON].rstrip(".:")
        raise EncoderError(
            f"Encoder {source!r} (revision {revision or 'main'}) cannot be loaded: "
            f"{reason or type(error).__name__}. Give a hub id, a folder made by "
            "save_pretrained, `timm:NAME`, or `embedded`; without network, download it once with "
            "`hf download`."
        ) from error
