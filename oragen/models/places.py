"""A model as people name it -> its folder on this machine, or a sentence that says what is wrong.

Nothing here needs torch or a network, so that a mistake in a name is told at once.
"""

import re
from pathlib import Path
from typing import Final

from oragen.schema.errors import UserError
from oragen.schema.lfs import is_lfs_pointer
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object

DESCRIPTION_FILE: Final = "head.json"
WEIGHTS_FILE: Final = "model.safetensors"  # beside it
# The files of the released model; others beside them are not looked at.
RELEASED: Final = ("audio_model.pt", "image_model.pt", "multimodal_model.pt")
SUFFIXES: Final = (".safetensors", ".pt", ".pth", ".ckpt")
ADDRESS: Final = re.compile(r"[a-z]+://(huggingface\.co/(?P<name>[\w.-]+/[\w.-]+))?")
HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
_ENCODERS: Final = ("unimodal_audio", "unimodal_face")
_MOST_NAMED: Final = 9  # heads, where none was named


class ModelError(UserError):
    """A model for predictions is missing, or its parts do not belong together."""


def find_local(source: str | Path) -> Path | None:
    """Return the folder of a model on this machine; None for a name of the hub.

    Raises:
        ModelError: it is neither, or the folder holds no model.
    """
    folder = Path(source)
    if folder.is_file():
        raise ModelError(
            f"{source} is one file, expected the folder of a model. The released model is a folder "
            f"with {', '.join(RELEASED[:-1])} and {RELEASED[-1]}."
        )
    if folder.is_dir():
        _refuse_no_model(folder)
        return folder
    if address := ADDRESS.match(str(source)):
        raise ModelError(
            f"{source} is an address, expected a folder or the name of a model on the hub"
            + (f": write {address['name']}." if address["name"] else " as OWNER/NAME.")
        )
    if not _may_be_on_hub(str(source)):
        raise ModelError(
            f"There is no model at {source}. Run `make demo` or `dvc repro` to train one. Or name "
            "a folder with a head.json, or a model on the hub as OWNER/NAME."
        )
    return None


def _may_be_on_hub(name: str) -> bool:
    """Whether the hub could have a model of this name; `./missing` is none."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return HUB_ID.fullmatch(name) is not None


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder without a model; weights beside a head.json are none.

    Raises:
        ModelError: one of them is the pointer that Git LFS leaves instead of a file.
    """
    if not folder.is_dir() or (folder / DESCRIPTION_FILE).is_file():
        return []
    found = [folder / name for name in RELEASED]
    if not all(path.is_file() for path in found):
        found = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix in SUFFIXES and not path.with_name(DESCRIPTION_FILE).is_file()
        )
    for path in found:
        refuse_pointer(path)
    return found


def no_model(folder: Path) -> ModelError:
    """Make the error for a folder without a head.json; heads below it are named."""
    below = [str(head.relative_to(folder)) for head in _list_heads(folder)]
    if below:
        more = ", ..." if len(below) > _MOST_NAMED else ""
        return ModelError(
            f"{folder} holds no model itself, but those in {', '.join(below[:_MOST_NAMED])}{more}: "
            f"name one of them, e.g. {folder / below[0]}."
        )
    return ModelError(
        f"{folder} holds no model. Run `make demo` or `dvc repro` to train one. Or name a folder "
        "with a head.json, or a model on the hub."
    )


def refuse_pointer(path: Path) -> None:
    """Refuse what Git LFS leaves in a clone instead of a large file.

    Raises:
        ModelError: says how to get the file.
    """
    with path.open("rb") as file:
        if is_lfs_pointer(file.read(64)):
            raise ModelError(
                f"{path} is the pointer that Git LFS leaves where a file was not fetched. Run "
                "`git lfs pull` in its repository, or download the file itself."
            )


def _refuse_no_model(folder: Path) -> None:
    if not (folder / DESCRIPTION_FILE).is_file() and not list_checkpoints(folder):
        raise no_model(folder)


def _list_heads(folder: Path) -> list[Path]:
    """Return the folders of heads below a folder; damaged ones count, encoders do not."""
    return [file.parent for file in sorted(folder.rglob(DESCRIPTION_FILE)) if _may_be_head(file)]


def _may_be_head(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            description = parse_object(opened.read(MAX_BYTES + 1))
    except (OSError, JsonError):
        return True
    return description.get("kind") not in _ENCODERS
