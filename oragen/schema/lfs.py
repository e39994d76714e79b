"""The first bytes of a file -> whether Git LFS left its address there instead of the file."""

from typing import Final

_BEGINNING: Final = b"version https://git-lfs.github.com/spec/"


def is_lfs_pointer(content: bytes) -> bool:
    """Tell a Git-LFS pointer by its first line; 64 bytes of the file are enough."""
    return content.startswith(_BEGINNING)
