"""A path that names no file as it is written -> the file that is meant, or the reason why not.

Tables are written on one system and read on another: with backslashes and letters of drives, as
addresses, in another case, and in the decomposed Unicode of macOS.
"""

import os
import re
from collections import defaultdict
from typing import Final, NamedTuple
from urllib.parse import unquote

from oragen.schema.names import fold_name, restore

MAX_NAMED: Final = 3
_FILE_ADDRESS: Final = re.compile(r"file:(//(localhost)?(?=/))?", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE: Final = re.compile(r"[A-Za-z]:|\\\\|//")


class Respelled(NamedTuple):
    """The path of a file under the root, or the reason why there is none."""

    path: str | None
    reason: str | None


class Speller:
    """Finds files under a root by what their names mean; each folder is listed once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._folders: dict[str, dict[str, list[str]]] = {}

    def respell(self, path: str) -> Respelled:
        """Return the only file that a path can mean: in any case, form of Unicode and slashes."""
        if reason := _find_foreign(path):
            return Respelled(None, reason)
        address = _FILE_ADDRESS.match(path)
        plain = unquote(path[address.end() :]) if address else path
        plain = restore(plain).replace("\\", "/").removeprefix(f"{self._root}/")
        if plain.startswith("/"):
            return Respelled(None, "it is outside the root of the corpus")
        return self._find(plain)

    def _find(self, path: str) -> Respelled:
        found = ""
        for part in path.split("/"):
            if part in ("", "."):
                continue
            names = self._list(found).get(fold_name(part), [])
            if part in names:
                names = [part]
            if len(names) != 1 or part == "..":
                shown = ", ".join(f"{found}{name}" for name in sorted(names)[:MAX_NAMED])
                return Respelled(None, f"there are {shown}: write the name as it is" * bool(shown))
            found += f"{names[0]}/"
        return Respelled(found.removesuffix("/") or None, None)

    def _list(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._folders:
            names = defaultdict(list)
            try:
                with os.scandir(f"{self._root}/{folder}") as entries:
                    for entry in entries:
                        names[fold_name(entry.name)].append(entry.name)
            except OSError:  # no folder, or one that may not be read: nothing is found in it
                names.clear()
            self._folders[folder] = dict(names)
        return self._folders[folder]


def _find_foreign(path: str) -> str | None:
    """Return the reason for a path that can be no file under the root of a corpus, or None."""
    if _ADDRESS.match(path) and not _FILE_ADDRESS.match(path):
        return "an address, not a file: download it, and write its path relative to the root"
    if path.startswith("~"):
        return "`~` is no folder in a table: write the path relative to the root of the corpus"
    if _DRIVE.match(path):
        return "a path with a drive of Windows: write it relative to the root of the corpus"
    return None
