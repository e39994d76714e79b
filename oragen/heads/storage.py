"""A trained head <-> a folder: `model.safetensors` and the `head.json` that explains it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save

from oragen.heads.build import build_head
from oragen.heads.contract import Head, HeadSizes
from oragen.schema import UserError

WEIGHTS_FILE: Final = "model.safetensors"
DESCRIPTION_FILE: Final = "head.json"
FORMAT_VERSION: Final = 1
LABEL_SIZES: Final = {"genders": "num_genders", "mask_types": "num_mask_types"}


class SavedHead(NamedTuple):
    """A head as it was saved, in evaluation mode, with the metadata saved beside it."""

    head: Head
    metadata: dict[str, Any]


def save_head(folder: Path, head: Head, metadata: Mapping[str, object]) -> None:
    """Write the weights, and what is needed to build the head again, into a folder.

    Args:
        folder: is made where it does not exist.
        head: from `build_head`.
        metadata: plain JSON that the head should carry: the label names, the fingerprints of its
            features, the window parameters. `genders` and `mask_types`, where present, are
            ordered label names and must fit the head's sizes.

    Raises:
        ValueError: the labels do not fit the head.
    """
    _check_labels(folder, head.spec.sizes, metadata)
    weights = save({name: tensor.contiguous() for name, tensor in head.state_dict().items()})
    description = {
        "format_version": FORMAT_VERSION,
        **asdict(head.spec),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "metadata": dict(metadata),
    }
    text = json.dumps(description, indent=2) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / WEIGHTS_FILE, weights)
    _replace(folder / DESCRIPTION_FILE, text.encode())


def load_head(folder: Path) -> SavedHead:
    """Build the head a folder describes and load its weights (on the CPU, in evaluation mode).

    Raises:
        UserError: the folder is missing, damaged, or its files do not belong together.
    """
    description = _read_description(folder)
    head = _build(folder, description)
    weights = _read(folder, WEIGHTS_FILE)
    found, expected = hashlib.sha256(weights).hexdigest(), description.get("weights_sha256")
    if found != expected:
        raise _damaged(folder, f"{WEIGHTS_FILE} has SHA-256 {found}, {expected} was written")
    try:
        head.load_state_dict(load(weights))
    except (SafetensorError, RuntimeError) as error:
        raise _damaged(folder, f"the weights do not fit the head it describes: {error}") from error
    _check_labels(folder, head.spec.sizes, description["metadata"])
    return SavedHead(head.eval(), description["metadata"])


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        description = json.loads(_read(folder, DESCRIPTION_FILE))
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            raise _damaged(folder, f"{DESCRIPTION_FILE} is no JSON: {error}") from error
        raise
    if not isinstance(description, dict) or description.get("format_version") != FORMAT_VERSION:
        raise _damaged(folder, f"{DESCRIPTION_FILE} has not format_version {FORMAT_VERSION}")
    return description


def _build(folder: Path, description: Mapping[str, Any]) -> Head:
    own = {"format_version", "weights_sha256", "metadata", "sizes"}
    try:
        sizes = HeadSizes(**description["sizes"])
        options = {key: value for key, value in description.items() if key not in own}
        if not isinstance(description["metadata"], dict):
            raise TypeError("metadata is not an object")
        return build_head(sizes=sizes, **options)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise _damaged(folder, f"{DESCRIPTION_FILE} describes no head: {error!r}") from error


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise UserError(
            f"{folder} holds no head: {name} cannot be read ({error.strerror}). Name the folder "
            f"of a head, with {DESCRIPTION_FILE} and {WEIGHTS_FILE}, or run "
            f"`dvc repro train_head`."
        ) from error


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(
        f"The head in {folder} is damaged: {what}. Fetch it again (`dvc pull`) or remove the "
        f"folder and run `dvc repro train_head`."
    )


def _check_labels(folder: Path, sizes: HeadSizes, metadata: Mapping[str, object]) -> None:
    for key, size_name in LABEL_SIZES.items():
        labels, size = metadata.get(key), getattr(sizes, size_name)
        if isinstance(labels, list | tuple) and len(labels) != size:
            raise ValueError(
                f"{folder}: the head gives {size} {key}, its labels are {list(labels)}. Train "
                f"and save it with one list of labels."
            )


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)
