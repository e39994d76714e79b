"""A folder and the name of a file in it -> the file, unless a link leads out of the folder.

Caches that are named by content may be linked to: those of the Hugging Face hub, DVC and git-annex.
"""

import re
import stat
from pathlib import Path
from typing import Final

from oragen.schema.errors import UserError

# `models--owner--name/blobs/<hash>`, `files/md5/<2>/<30>`, `.git/annex/objects/...`
_OF_A_CACHE: Final = re.compile(
    r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$|/\.git/annex/objects/.+$|"
    r"/models--[^/]+/blobs/[0-9a-f]{40,64}$"
)


def find_inside(folder: Path, name: str) -> Path:
    """Return the path of a regular file in a folder, by its own name also where it is a link.

    Raises:
        FileNotFoundError: there is none.
        UserError: a link leads out of the folder, or the file is a device or a pipe.
    """
    try:
        found = (folder / name).resolve(strict=True)
    except RuntimeError as error:  # of Python 3.11 and 3.12; later ones raise an OSError
        raise UserError(f"{folder / name} is a link to itself. Replace it by a file.") from error
    if not found.is_relative_to(folder.resolve()) and not _OF_A_CACHE.search(found.as_posix()):
        raise UserError(
            f"{folder / name} is a link that leads out of its folder, to {found}. Replace it by "
            "the file itself."
        )
    if not stat.S_ISREG(found.stat().st_mode):
        raise UserError(f"{folder / name} is no regular file. Replace it by one.")
    return folder / name
