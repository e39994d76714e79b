"""A folder, or the id of a model on the Hugging Face hub -> its folder on this machine."""

import re
from pathlib import Path
from typing import Final

from oragen.predictor.pretrained import ModelError

HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
# Weights, descriptions and texts: nothing that could run code.
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
    """Return the folder of a model: a local one, or one downloaded from the hub once.

    A download shows its progress and is checked by its hash. Later it is found without a network.

    Raises:
        ModelError: there is no such folder, and the hub has no such model or cannot be reached.
    """
    if (folder := Path(source)).exists():
        return folder
    if not HUB_ID.fullmatch(str(source)):
        raise ModelError(
            f"There is no model at {source}. Run `make demo` or `dvc repro` to train one. Or name "
            "a folder with a head.json, or a model on the hub as OWNER/NAME."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(source), revision=revision, allow_patterns=list(FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"There is no folder {source}, and the hub has no such model (revision "
            f"{revision or 'main'}), or cannot be reached: {first_line}"
        ) from error
