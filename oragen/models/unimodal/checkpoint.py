"""A checkpoint file -> the state dict in it, with no code run."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from oragen.models.places import refuse_pointer
from oragen.models.torch_files import TorchFileError, outline_torch_file, read_torch_file
from oragen.schema.errors import UserError

_NESTED_UNDER: Final = ("state_dict", "model_state_dict", "model", "weights")
# Wrappers of models put these before all names.
_PREFIXES: Final = ("module.", "model.", "_orig_mod.", "_forward_module.")
# Errors of unpickling arbitrary bytes.
_NO_PICKLE: Final = (ValueError, LookupError, TypeError, AttributeError, AssertionError)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file of safetensors or of `torch.save`; no code in it is run.

    Raises:
        UserError: the file cannot be read, needs code to be unpickled, or holds no state dict.
    """
    is_safe = path.suffix == ".safetensors"
    return _find_state_dict(path, load_file if is_safe else read_torch_file)


def outline_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file of `torch.save` as `read_checkpoint`, without its numbers."""
    return _find_state_dict(path, outline_torch_file)


def _find_state_dict(path: Path, read: Callable[[Path], Any]) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(
            f"{path} cannot be read as a checkpoint: there is no such file. Name a file of "
            "torch.save or safetensors."
        )
    refuse_pointer(path)
    content = _read(path, read)
    for key in _NESTED_UNDER:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        found = "nothing" if content == {} else f"a {type(content).__name__}"
        raise UserError(f"{path} holds {found}, expected a state dict.")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(
                f"{path} is no state dict: {name!r} is a {type(tensor).__name__}, not a tensor."
            )
    return dict(content)


def strip_prefixes(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove what DataParallel, torch.compile and trainers put before all names of a model."""
    for prefix in _PREFIXES:
        if state_dict and all(name.startswith(prefix) for name in state_dict):
            shorter = {name.removeprefix(prefix): tensor for name, tensor in state_dict.items()}
            return strip_prefixes(shorter)
    return state_dict


def _read(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except TorchFileError as error:
        raise UserError(
            f"{path} is not read: {error}. Save its state dict with torch.save or safetensors."
        ) from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} holds more than tensors, or is no checkpoint, and is not read: unpickling it "
            "could run any code. Save its state dict alone with torch.save or safetensors."
        ) from error
    except (OSError, RuntimeError, EOFError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0] or "it ends too early"
        raise UserError(f"{path} cannot be read as a checkpoint: {reason}") from error
    except _NO_PICKLE as error:
        raise UserError(
            f"{path} cannot be read as a checkpoint: torch.save did not write it, and it is not "
            "named .safetensors."
        ) from error
