"""The code that runs here -> its version and a hash, to compare between machines."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple


class Code(NamedTuple):
    """What must be the same on all machines that work together."""

    version: str
    digest: str  # of our modules

    def __str__(self) -> str:
        return f"oragen {self.version} with the code {self.digest[:12]}"


@cache
def describe_code(project: Path) -> Code:
    """Describe the modules of `oragen` that are in use here, and those of `stages` in a project."""
    digest = hashlib.sha256()
    for name, folder in (("oragen", Path(__file__).parents[1]), ("stages", project / "stages")):
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{name}/{path.relative_to(folder)}\0".encode() + path.read_bytes())
    try:
        found = version("oragen")
    except PackageNotFoundError:
        found = "(not installed)"
    return Code(found, digest.hexdigest())
