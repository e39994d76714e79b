"""The id of a model of the hub -> its folder on this machine."""

import logging
import re
from pathlib import Path
from typing import Final

from oragen.predictor.pretrained import ModelError

logger = logging.getLogger(__name__)

HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
# Nothing that could run code when it is loaded: weights, descriptions, texts.
FILES: Final = (
    "*.json",
    "*.safetensors",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.onnx",
    "*.md",
    "SHA256SUMS",
)


def find_folder(source: str | Path, revision: str | None = None) -> Path:
    """Return the folder of a model: the one that is named, or of the hub, downloaded once.

    A download shows its progress, is checked by its hash, and is found again without a network.

    Raises:
        ModelError: there is no such folder, and the hub has no such model or cannot be reached.
    """
    if (folder := Path(source)).exists():
        return folder
    if not HUB_ID.fullmatch(str(source)):
        raise ModelError(
            f"There is no model at {source}. Run `make demo` or `dvc repro` to train one, or name "
            "a folder with a head.json, or a model of the hub as OWNER/NAME."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(source), revision=revision, allow_patterns=list(FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"There is no folder {source}, and the hub gives no model of that name (revision "
            f"{revision or 'main'}): {first_line}"
        ) from error
