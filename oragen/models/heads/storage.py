"""A trained head <-> a folder: `model.safetensors` and the `head.json` that explains it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from oragen.models.description import HeadForm, check_form
from oragen.models.folder import (
    DESCRIPTION_FILE,
    Kind,
    check_count,
    check_labels,
    damaged,
    own_part,
    read_description,
    read_weights,
    write_model,
)
from oragen.models.heads.build import build_head
from oragen.models.heads.contract import Head, HeadSizes
from oragen.models.outline import outlining
from oragen.models.state_dict import shapes

HEAD_KINDS: Final[tuple[Kind, ...]] = ("head",)


class SavedHead(NamedTuple):
    """A head as it was saved, in evaluation mode, with the metadata saved beside it."""

    head: Head
    metadata: dict[str, Any]


def save_head(folder: Path, head: Head, metadata: Mapping[str, object]) -> None:
    """Write the weights, and what is needed to build the head again, into a folder.

    Args:
        folder: is made if it does not exist.
        head: from `build_head`.
        metadata: plain JSON to save with the head: labels, fingerprints of its features, window
            parameters. `genders` and `mask_types`, where present, are labels in order and must
            fit the head's sizes.

    Raises:
        UserError: the labels do not fit the head.
    """
    _check_labels(folder, head.spec.sizes, metadata)
    write_model(folder, "head", head.state_dict(), description=asdict(head.spec), metadata=metadata)


def load_head(folder: Path) -> SavedHead:
    """Build the head that a folder describes, with its weights, on the CPU, in evaluation mode.

    Raises:
        UserError: the folder is missing or damaged, holds another kind of model, or its files do
            not fit each other.
    """
    saved = build_described_head(folder)
    saved.head.load_state_dict(read_weights(folder, shapes(saved.head.state_dict())))
    return saved


def build_described_head(folder: Path, *, max_weights: int | None = None) -> SavedHead:
    """Build the head that a folder describes, with fresh weights; its own are not read.

    Args:
        folder: of the head.
        max_weights: refuse a head with more, before memory is taken for it. None: as many as the
            file of its weights has bytes.

    Raises:
        UserError: the description is missing, damaged, or of another kind of model.
    """
    description = read_description(folder, HEAD_KINDS)
    spec = own_part(description)
    form = check_form(folder, "describes no head", HeadForm, spec)
    _check_labels(folder, HeadSizes(**form.sizes.model_dump()), description["metadata"])
    with outlining():
        outline = _build(folder, spec)
    check_count(folder, outline, max_weights)
    return SavedHead(_build(folder, spec).eval(), description["metadata"])


def _build(folder: Path, spec: Mapping[str, Any]) -> Head:
    try:
        return build_head(**{**spec, "sizes": HeadSizes(**spec["sizes"])})
    except (ValueError, AssertionError) as error:  # such as a width that its heads cannot share
        raise damaged(folder, f"{DESCRIPTION_FILE} describes no head: {error!r}") from error


def _check_labels(folder: Path, sizes: HeadSizes, metadata: Mapping[str, object]) -> None:
    check_labels(
        folder,
        num_genders=sizes.num_genders,
        num_mask_types=sizes.num_mask_types,
        metadata=metadata,
    )
