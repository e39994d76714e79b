"""A folder <-> its SHA256SUMS, as `sha256sum --check` reads it."""

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Final

from oragen.schema.errors import UserError
from oragen.schema.links import find_inside
from oragen.schema.strict_json import shorten

SUMS_FILE: Final = "SHA256SUMS"
MAX_SUMS_BYTES: Final = 1_000_000
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
# What people add to a model or edit in it, such as its licence; nothing here reads these.
_TEXTS: Final = (".md", ".txt", "")


class SumsError(UserError):
    """A folder is not what its SHA256SUMS say."""


def sum_up(folder: Path) -> str:
    """List the SHA-256 of every file."""
    return "".join(f"{_hash(folder / name)}  {name}\n" for name in list_files(folder))


def check_sums(folder: Path) -> None:
    """Refuse a folder with other files than its SHA256SUMS list; one without the list passes.

    Texts and hidden files may be added, and texts may be edited.

    Raises:
        SumsError: names the first file that is missing, changed or not listed.
        UserError: a link leads out of the folder.
    """
    if not (folder / SUMS_FILE).exists():
        return
    listed = _read(folder)
    found = [name for name in list_files(folder) if not _is_text(name)]
    if unlisted := [name for name in found if name not in listed]:
        raise _refuse(folder, f"{unlisted[0]} is there and is not listed")
    for name, expected in listed.items():
        if _is_text(name):
            continue
        if name not in found:
            raise _refuse(folder, f"{name} is listed and is not there")
        if (actual := _hash(find_inside(folder, name))) != expected:
            raise _refuse(folder, f"{name} has SHA-256 {actual}, expected {expected}")


def _read(folder: Path) -> dict[str, str]:
    with find_inside(folder, SUMS_FILE).open("rb") as file:
        content = file.read(MAX_SUMS_BYTES + 1)
    if len(content) > MAX_SUMS_BYTES:
        raise _refuse(folder, f"it has more than {MAX_SUMS_BYTES} bytes")
    listed: dict[str, str] = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise _refuse(folder, f"line {number} is {shorten(repr(line))}, not a sum and a name")
        name = match[2].removeprefix("./")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise _refuse(folder, f"line {number} names {shorten(repr(name))}, outside the folder")
        if name in listed:
            raise _refuse(folder, f"{shorten(repr(name))} is listed twice")
        listed[name] = match[1]
    return listed


def list_files(folder: Path) -> list[str]:
    """List all files below a folder, without hidden ones and the sums themselves."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(
        name.as_posix()
        for name in names
        if not any(part.startswith(".") for part in name.parts) and name.as_posix() != SUMS_FILE
    )


def _is_text(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _TEXTS


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _refuse(folder: Path, what: str) -> SumsError:
    return SumsError(
        f"The model in {folder} is not what its {SUMS_FILE} says: {what}. Fetch it again; if you "
        f"changed it yourself, run `oragen pack` on its head, or remove {SUMS_FILE}."
    )
