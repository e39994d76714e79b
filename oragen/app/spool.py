"""Uploads -> files in a private folder, which goes with the service.

What a killed service left is removed by the next one, or by one that runs beside it.
"""

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir
from typing import Final

from oragen.schema.errors import UserError
from oragen.schema.files import UNFINISHED, remove
from oragen.schema.owners import is_abandoned, name_owner, own

PREFIX: Final = f"oragen-uploads{UNFINISHED}-"
PRIVATE: Final = 0o700


class Spool:
    """A private folder with a folder for each upload; a context manager."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = _find_parent() if parent is None else parent
        self.folder = self._parent / f"{PREFIX}{name_owner()}"
        self._owned = own(self.folder)

    def __enter__(self) -> "Spool":
        """Make the folder, and remove what was left.

        Raises:
            UserError: the folder cannot be made.
        """
        self._owned.__enter__()
        try:
            self._make()
        except OSError as error:
            raise UserError(
                f"Uploads cannot be kept in {self._parent} ({error.strerror}). Set TMPDIR to a "
                "folder that this user may write to."
            ) from error
        self.remove_abandoned()
        return self

    def __exit__(self, *_: object) -> None:
        remove(self.folder)
        self._owned.__exit__(None, None, None)

    def new_file(self) -> Path:
        """Return a path for an upload, in a folder of its own; its name says nothing.

        Raises:
            OSError: the disk is full, or the place is not ours any more.
        """
        self._make()
        folder = self.folder / token_hex(16)
        folder.mkdir(mode=PRIVATE)
        return folder / "upload"

    def remove_abandoned(self) -> None:
        """Remove what killed services of this user left."""
        for left in self._parent.glob(f"{PREFIX}*"):
            with suppress(OSError):  # it is removed by another service, or is not ours
                if left.lstat().st_uid == os.geteuid() and is_abandoned(left):
                    remove(left)

    def _make(self) -> None:
        """Make the folder; a cleaner of old temporary files may have removed it."""
        with suppress(FileExistsError):
            self.folder.mkdir(mode=PRIVATE)
        if self.folder.is_symlink() or self.folder.stat().st_uid != os.geteuid():
            raise PermissionError(1, "another user took its place", str(self.folder))


def _find_parent() -> Path:
    try:
        return Path(gettempdir())
    except FileNotFoundError as error:
        raise UserError(
            "There is no folder for temporary files. Set TMPDIR to one that this user may write to."
        ) from error
