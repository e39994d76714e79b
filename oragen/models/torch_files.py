"""A file of `torch.save` -> what is in it, with no code run, in about the memory of its bytes.

A few bytes of such a file can ask for much memory: entries of the archive that are compressed, and
tensors that repeat one number by a stride of 0.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

MAX_SHARING: Final = 4  # times that the bytes of a file may be used, by tensors that share them
_ARCHIVE: Final = b"PK\x03\x04"


class TorchFileError(ValueError):
    """What a file asks for and must not; ends without a full stop."""


def read_torch_file(path: Path) -> Any:
    """Read a file of `torch.save` onto the CPU.

    Raises:
        TorchFileError: it would take more memory than it has bytes.
        pickle.UnpicklingError: it holds more than tensors and plain containers.
        OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
            AssertionError: it is damaged, or no such file.
    """
    outline_torch_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def outline_torch_file(path: Path) -> Any:
    """Read a file of `torch.save` with tensors that have a shape and no numbers.

    Raises:
        TorchFileError: and all others, as `read_torch_file`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        is_archive = file.read(len(_ARCHIVE)) == _ARCHIVE  # so does torch tell it from older files
    if is_archive:
        _refuse_compressed(path, size)
    outline = torch.load(path, map_location="meta", weights_only=True)
    _refuse_expanded(list(_list_tensors(outline)), size)
    return outline


def _refuse_compressed(path: Path, size: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:  # the latter: a newer ZIP
        raise TorchFileError(f"its archive is damaged: {error}") from error
    total = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or total > size:
        raise TorchFileError(f"its {size} bytes unpack to {total}, and torch.save packs nothing")


def _refuse_expanded(tensors: list[Tensor], size: int) -> None:
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if total > MAX_SHARING * size:
        raise TorchFileError(f"its {size} bytes describe tensors of {total} bytes")


def _list_tensors(content: Any) -> Iterator[Tensor]:
    """Yield all tensors in nested containers."""
    waiting, seen = [content], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value
