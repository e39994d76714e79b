"""The options --draw and --plot -> the file that each clip is drawn to, and none that is read."""

import os
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from oragen.schema.errors import UserError
from oragen.schema.names import fold_name

if TYPE_CHECKING:  # importing it takes seconds, which --help need not wait for
    from oragen.predictor.files import NamedClip


class MisuseError(UserError):
    """Options that do not go together, or lead nowhere."""


def plan_files(
    clips: Sequence["NamedClip"], target: Path | None, option: str, suffixes: tuple[str, ...]
) -> dict[Path, Path]:
    """Say which file each clip is drawn to: the target itself, or one in it, a name each."""
    if target is None:
        return {}
    if target.suffix and not target.is_dir():
        if target.suffix.lower() not in suffixes:
            known = " or ".join(suffixes)
            raise MisuseError(
                f"{option} {target} is neither a folder nor a file ending in {known}."
            )
        if len(clips) > 1:
            raise MisuseError(
                f"{option} {target} is one file for {len(clips)} clips: name a folder."
            )
        return {clips[0].path: target}
    planned: dict[Path, Path] = {}
    taken: set[str] = set()
    for clip in clips:
        suffix = suffixes[-1] if _is_image(clip.path) else suffixes[0]
        numbers = (f"-{number}" for number in count(2))
        names = (f"{clip.path.stem}{number}{suffix}" for number in chain([""], numbers))
        name = next(name for name in names if fold_name(name) not in taken)
        taken.add(fold_name(name))
        planned[clip.path] = target / name
    return planned


def _is_image(path: Path) -> bool:
    """Tell by its name whether a file is drawn as a picture; a GIF may move."""
    from oragen.corpora.csv import IMAGE_SUFFIXES

    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES and suffix != ".gif"


def protect(clips: Sequence["NamedClip"], targets: Sequence[Path]) -> None:
    """Refuse to write over what is read, or twice to one file, or where nothing can be written."""
    read = {clip.path.resolve() for clip in clips}
    written: set[Path] = set()
    for target in targets:
        where = target.resolve()
        if where in read or where in written:
            problem = "is one of the clips" if where in read else "would be written twice"
            raise MisuseError(f"{target} {problem}: choose another name or folder to write to.")
        written.add(where)
    for folder in {target.parent for target in targets}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _nothing_written(folder, error.strerror) from error
        if not os.access(folder, os.W_OK):
            raise _nothing_written(folder, "no permission")


def _nothing_written(folder: Path, why: str | None) -> MisuseError:
    return MisuseError(f"Nothing can be written to {folder}: {why}. Name another folder.")
