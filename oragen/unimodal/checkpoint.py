"""A file -> the state dict in it."""

import pickle
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from oragen.schema import UserError

_NESTED_UNDER: Final = ("state_dict", "model_state_dict")


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file of safetensors or of `torch.save`; no code in it is run.

    Raises:
        UserError: the file cannot be read, needs code to be unpickled, or holds no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} holds more than tensors, or is no checkpoint, and is not read: unpickling it "
            "could run any code. Save its state dict alone with torch.save or safetensors."
        ) from error
    except (OSError, RuntimeError, EOFError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint: {error}") from error
    for key in _NESTED_UNDER:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, expected a state dict.")
    for name, tensor in content.items():
        if not isinstance(tensor, Tensor):
            raise UserError(
                f"{path} is no state dict: {name!r} is a {type(tensor).__name__}, no tensor."
            )
    return dict(content)
