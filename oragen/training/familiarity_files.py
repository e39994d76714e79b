"""The familiarity of a model <-> `familiarity.safetensors` beside its weights, and its limits."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import save
from torch import Tensor

from oragen.models.description import Form, Sha256, check_form
from oragen.models.folder import damaged, read_tensors
from oragen.models.state_dict import Shape
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.surroundings import explain_os_error
from oragen.schema.vocabulary import Json, Modality
from oragen.training.familiarity import MAX_LIMIT, MAX_WIDTH, MIN_LIMIT, Familiarity, KnownFeatures

FAMILIARITY_FILE: Final = "familiarity.safetensors"


class FamiliarityForm(Form):
    """What head.json says of a familiarity."""

    sha256: Sha256
    limits: Annotated[
        dict[Modality, Annotated[float, Field(ge=MIN_LIMIT, le=MAX_LIMIT)]], Field(min_length=1)
    ]  # Mahalanobis distances


def save_familiarity(folder: Path, familiarity: Familiarity) -> dict[str, Json] | None:
    """Write the familiarity of a model beside its weights.

    Returns:
        what head.json says of it; None if there is nothing to write.

    Raises:
        UserError: the file cannot be written.
    """
    if not familiarity:
        return None
    tensors: dict[str, Tensor] = {}
    for modality, known in familiarity.items():
        tensors[f"{modality}.mean"] = torch.from_numpy(known.mean)
        tensors[f"{modality}.whitening"] = torch.from_numpy(known.whitening)
    content = save(tensors)
    try:
        with atomic_write(folder / FAMILIARITY_FILE) as unfinished:
            unfinished.write_bytes(content)
    except OSError as error:
        raise UserError(explain_os_error(error)) from error
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "limits": {modality: known.limit for modality, known in familiarity.items()},
    }


def read_familiarity(folder: Path, saved: object, widths: Mapping[Modality, int]) -> Familiarity:
    """Read the familiarity of a model; models of earlier versions have none.

    Args:
        folder: of the model.
        saved: what its head.json says; None or nothing: it has none.
        widths: of the features of each modality.

    Raises:
        UserError: the file is missing or another one, or does not fit the features.
    """
    if saved is None:
        return {}
    form = check_form(folder, "has a wrong metadata.familiarity", FamiliarityForm, saved)
    expected: dict[str, Shape] = {}
    for modality in form.limits:
        width = widths.get(modality, 0)
        if not 0 < width <= MAX_WIDTH:
            raise damaged(folder, f"its familiarity is of {modality}, which has width {width}")
        expected[f"{modality}.mean"] = (width,)
        expected[f"{modality}.whitening"] = (width, width)
    tensors = read_tensors(folder, FAMILIARITY_FILE, form.sha256, expected)
    arrays = {name: _to_array(folder, name, tensor) for name, tensor in tensors.items()}
    return {
        modality: KnownFeatures(arrays[f"{modality}.mean"], arrays[f"{modality}.whitening"], limit)
        for modality, limit in form.limits.items()
    }


def _to_array(folder: Path, name: str, tensor: Tensor) -> np.ndarray:
    if tensor.dtype != torch.float32:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise damaged(folder, f"{name} in {FAMILIARITY_FILE} is {kind}, expected float32")
    return tensor.numpy()
