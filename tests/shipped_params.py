"""The shipped parameters, as they are or with one value changed."""

import shutil
from pathlib import Path

import yaml

from oragen.config.params import Params, load_params

SHIPPED = Path(__file__).parents[1] / "params.yaml"


def copy_shipped(folder: Path) -> Path:
    """Put the shipped parameters into a folder."""
    shutil.copy2(SHIPPED, folder)
    return folder


def load(path: Path, *place: str | int, value: object) -> Params:
    """Load the shipped parameters with one value changed."""
    sections = yaml.safe_load(SHIPPED.read_text())
    here = sections
    for step in place[:-1]:
        here = here[step]
    here[place[-1]] = value
    path.write_text(yaml.safe_dump(sections, sort_keys=False))
    return load_params(path)
