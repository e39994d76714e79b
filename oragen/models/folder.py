"""A model's weights and description <-> a folder: `model.safetensors` and `head.json`.

Names of weights and fields of `head.json` are those of folders that exist, see `state_dict`.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write

WEIGHTS_FILE: Final = "model.safetensors"
DESCRIPTION_FILE: Final = "head.json"
FORMAT_VERSION: Final = 1

Kind = Literal[
    "head",  # on cached features
    "unimodal_audio",  # an encoder with pooling and output layers
    "unimodal_face",
]
TITLES: Final[Mapping[str, str]] = {
    "head": "a head",
    "unimodal_audio": "a unimodal audio model",
    "unimodal_face": "a unimodal face model",
}
LABELS: Final = ("genders", "mask_types")
_WRITTEN_HERE: Final = ("format_version", "kind", "weights_sha256", "metadata")


def write_model(
    folder: Path,
    kind: Kind,
    weights: Mapping[str, Tensor],
    *,
    description: Mapping[str, object],
    metadata: Mapping[str, object],
) -> None:
    """Write a model; make the folder if it does not exist.

    Args:
        folder: where to write; a model in it is replaced.
        kind: which builder the description is for.
        weights: its state dict.
        description: plain JSON from which the model is built again, without its weights.
        metadata: plain JSON to save with the model.

    Raises:
        UserError: the folder cannot be written.
    """
    content = save({name: tensor.contiguous() for name, tensor in weights.items()})
    full = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        **description,
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "metadata": dict(metadata),
    }
    text = json.dumps(full, indent=2) + "\n"
    try:
        for name, whole in {WEIGHTS_FILE: content, DESCRIPTION_FILE: text.encode()}.items():
            with atomic_write(folder / name) as unfinished:
                unfinished.write_bytes(whole)
    except OSError as error:
        raise UserError(
            f"The model cannot be written to {folder}: {error.strerror}. Name another folder."
        ) from error


def read_kind(folder: Path) -> Kind:
    """Read what kind of model a folder holds; the weights are not read.

    Raises:
        UserError: the folder holds no model.
    """
    return _kind(folder, _read_json(folder, "model"))


def read_description(folder: Path, kinds: Collection[Kind]) -> dict[str, Any]:
    """Read the description of a model of one of these kinds, with its metadata.

    Raises:
        UserError: the folder holds no model, or one of another kind.
    """
    wanted = " or ".join(TITLES[kind].partition(" ")[2] for kind in kinds)
    description = _read_json(folder, wanted)
    if (found := _kind(folder, description)) not in kinds:
        raise UserError(
            f"{folder} holds {TITLES[found]}, expected {' or '.join(TITLES[k] for k in kinds)}. "
            "Name the folder of one."
        )
    if not isinstance(description.get("metadata"), dict):
        raise damaged(folder, "its metadata is not an object")
    return description


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the weights that the folder's description belongs to, onto the CPU.

    Raises:
        UserError: they are missing, or were not written with the description.
    """
    expected = _read_json(folder, "model").get("weights_sha256")
    content = _read(folder, WEIGHTS_FILE, "model")
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise damaged(folder, f"{WEIGHTS_FILE} has SHA-256 {found}, expected {expected}")
    try:
        return load(content)
    except SafetensorError as error:
        raise damaged(folder, f"{WEIGHTS_FILE} holds no weights: {error}") from error


def own_part(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a description that the model's kind defines."""
    return {key: value for key, value in description.items() if key not in _WRITTEN_HERE}


def check_labels(
    folder: Path, *, num_genders: int, num_mask_types: int, metadata: Mapping[str, object]
) -> None:
    """Refuse lists of labels whose lengths differ from the sizes of the model's output.

    Raises:
        UserError: names both.
    """
    for key, size in zip(LABELS, (num_genders, num_mask_types), strict=True):
        labels = metadata.get(key)
        if isinstance(labels, list | tuple) and len(labels) != size:
            raise UserError(
                f"{folder}: the model has {size} {key}, its labels are {list(labels)}. Train and "
                f"save it with one list of labels."
            )


def damaged(folder: Path, what: str) -> UserError:
    """Make the error for files that do not fit each other or cannot be read."""
    return UserError(
        f"The model in {folder} is damaged: {what}. Fetch it again (`dvc pull`), or remove the "
        f"folder and make it again (`dvc repro train_head`, `oragen convert`)."
    )


def _kind(folder: Path, description: Mapping[str, Any]) -> Kind:
    """Return the kind; the first heads were written without one."""
    found = description.get("kind", "head")
    for kind in get_args(Kind):
        if kind == found:
            return kind  # type: ignore[no-any-return]
    raise damaged(folder, f"{DESCRIPTION_FILE} describes an unknown kind of model, {found!r}")


def _read_json(folder: Path, wanted: str) -> dict[str, Any]:
    try:
        description = json.loads(_read(folder, DESCRIPTION_FILE, wanted))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise damaged(folder, f"{DESCRIPTION_FILE} is not JSON: {error}") from error
    if not isinstance(description, dict) or description.get("format_version") != FORMAT_VERSION:
        raise damaged(folder, f"{DESCRIPTION_FILE} does not have format_version {FORMAT_VERSION}")
    return description


def _read(folder: Path, name: str, wanted: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise UserError(
            f"{folder} holds no {wanted}: {name} cannot be read ({error.strerror}). Name a folder "
            f"with {DESCRIPTION_FILE} and {WEIGHTS_FILE}, as `dvc repro train_head` and `oragen "
            f"convert` write it."
        ) from error
