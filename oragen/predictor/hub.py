"""A folder, or the id of a model on the Hugging Face hub -> its folder on this machine."""

import re
from pathlib import Path
from typing import Final

from oragen.predictor.pretrained import ModelError

ADDRESS: Final = re.compile(r"[a-z]+://(huggingface\.co/(?P<name>[\w.-]+/[\w.-]+))?")
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
    folder = Path(source)
    if folder.is_file():
        raise ModelError(
            f"{source} is one file, expected the folder of a model. The released model is a folder "
            "with audio_model.pt, image_model.pt and multimodal_model.pt."
        )
    if folder.exists():
        return folder
    if address := ADDRESS.match(str(source)):
        raise ModelError(
            f"{source} is an address, expected a folder or the name of a model on the hub"
            + (f": write {address['name']}." if address["name"] else " as OWNER/NAME.")
        )
    if not HUB_ID.fullmatch(str(source)):
        raise ModelError(
            f"There is no model at {source}. Run `make demo` or `dvc repro` to train one. Or name "
            "a folder with a head.json, or a model on the hub as OWNER/NAME."
        )
    return _download(str(source), revision)


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    version = revision or "main"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except HfHubHTTPError as error:
        raise ModelError(
            f"There is no folder {name}, and the hub refuses a model of this name (revision "
            f"{version}): {_first_line(error)} If it is private, run `hf auth login` first."
        ) from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"There is no folder {name}, and the hub cannot be reached to look for a model of this "
            f"name: {_first_line(error.__cause__ or error)}. Where there is a network, run `hf "
            f"download {name} --revision {version}`; then name the folder that it prints."
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
