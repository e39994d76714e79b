"""A model's weights and description <-> a folder: `model.safetensors` and `head.json`.

Names of weights and fields of `head.json` are those of folders that exist, see `state_dict`.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from oragen.models.finite import find_not_finite
from oragen.models.places import DESCRIPTION_FILE as DESCRIPTION_FILE
from oragen.models.places import WEIGHTS_FILE, refuse_pointer
from oragen.models.state_dict import Shape, find_misfits, shapes
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.links import find_inside
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object, shorten
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, MASK_TYPES

FORMAT_VERSION: Final = 1
MAX_HEADER_BYTES: Final = 10_000_000  # of a safetensors file
MAX_WEIGHT_BYTES: Final = 8  # of one number

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
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "genders": GENDERS_WITH_CHILD,
    "mask_types": MASK_TYPES,
}
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
        UserError: the folder cannot be written, or a weight is not a finite number.
    """
    if name := find_not_finite(weights):
        raise UserError(
            f"The model for {folder} has numbers in {name} that are not finite, and is not "
            "written: its training diverged. Lower its learning_rate."
        )
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


def read_weights(folder: Path, expected: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Read the weights that the folder's description belongs to, onto the CPU.

    Args:
        folder: of the model.
        expected: the shapes of the weights that it describes.

    Raises:
        UserError: they are missing, do not fit, are not finite, or were not written with the
            description.
    """
    wanted = _read_json(folder, "model").get("weights_sha256")
    return read_tensors(folder, WEIGHTS_FILE, str(wanted), expected)


def read_tensors(
    folder: Path, name: str, sha256: str, expected: Mapping[str, Shape]
) -> dict[str, Tensor]:
    """Read a safetensors file of a model onto the CPU.

    Args:
        folder: of the model.
        name: of the file in it.
        sha256: of the file, from the model's description.
        expected: the shapes of its tensors.

    Raises:
        UserError: the file is missing, is another one, or its tensors do not fit or are not finite.
    """
    path = _find(folder, name, "model")
    limit = MAX_HEADER_BYTES + MAX_WEIGHT_BYTES * sum(map(math.prod, expected.values()))
    if (size := path.stat().st_size) > limit:
        raise damaged(folder, f"{name} has {size} bytes, expected at most {limit}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        refuse_pointer(path)
        raise damaged(folder, f"{name} has SHA-256 {found}, expected {shorten(sha256)}")
    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise damaged(folder, f"{name} holds no weights: {shorten(str(error))}") from error
    if misfits := find_misfits(tensors, expected):
        raise damaged(folder, f"the weights do not fit the model that it describes: {misfits}")
    if tensor := find_not_finite(tensors):
        raise damaged(folder, f"{tensor} in {name} holds numbers that are not finite")
    return tensors


def check_count(folder: Path, model: nn.Module, max_weights: int | None) -> None:
    """Refuse a description of a model with more weights than there are.

    Args:
        folder: of the model.
        model: as it is described.
        max_weights: None: as many as the folder's file of weights has bytes.

    Raises:
        UserError: says both numbers.
    """
    found = sum(math.prod(shape) for shape in shapes(model.state_dict()).values())
    most = _count_bytes(folder) if max_weights is None else max_weights
    if found > most:
        raise damaged(
            folder,
            f"the weights do not fit the model that it describes, which has {found} of them: "
            f"there are at most {most}",
        )


def own_part(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a description that the model's kind defines."""
    return {key: value for key, value in description.items() if key not in _WRITTEN_HERE}


def check_labels(
    folder: Path, *, num_genders: int, num_mask_types: int, metadata: Mapping[str, object]
) -> None:
    """Refuse lists of labels that do not fit the model's output, are unknown or repeated.

    Raises:
        UserError: names both.
    """
    for (key, known), size in zip(LABELS.items(), (num_genders, num_mask_types), strict=True):
        if key not in metadata:
            continue
        labels = metadata[key]
        if not isinstance(labels, list | tuple) or len(labels) != size:
            raise UserError(
                f"{folder}: the model has {size} {key}, its labels are {shorten(str(labels))}. "
                f"Train and save it with one list of labels."
            )
        if wrong := [label for label in labels if label not in known]:
            raise UserError(
                f"{folder}: {shorten(repr(wrong[0]))} is none of the {key} {', '.join(known)}. "
                "Train and save the model with these labels."
            )
        if repeated := [label for label, count in Counter(labels).items() if count > 1]:
            raise UserError(
                f"{folder}: {repeated[0]!r} is listed twice in the {key} of the model. Train and "
                "save it with each label once."
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
    shown = shorten(repr(found))
    raise damaged(folder, f"{DESCRIPTION_FILE} describes an unknown kind of model, {shown}")


def _read_json(folder: Path, wanted: str) -> dict[str, Any]:
    file = _find(folder, DESCRIPTION_FILE, wanted)
    try:
        with file.open("rb") as opened:
            description = parse_object(opened.read(MAX_BYTES + 1))
    except JsonError as error:
        raise damaged(folder, f"{DESCRIPTION_FILE} cannot be used: {error}") from error
    if description.get("format_version") != FORMAT_VERSION:
        raise damaged(folder, f"{DESCRIPTION_FILE} does not have format_version {FORMAT_VERSION}")
    return description


def _find(folder: Path, name: str, wanted: str) -> Path:
    try:
        return find_inside(folder, name)
    except OSError as error:
        raise UserError(
            f"{folder} holds no {wanted}: {name} cannot be read ({error.strerror}). Name a folder "
            f"with {DESCRIPTION_FILE} and {WEIGHTS_FILE}, as `dvc repro train_head` and `oragen "
            f"convert` write it."
        ) from error


def _count_bytes(folder: Path) -> int:
    return _find(folder, WEIGHTS_FILE, "model").stat().st_size
