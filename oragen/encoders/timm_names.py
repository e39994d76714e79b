"""The source of an encoder -> whether it is one of timm, told without loading timm."""

from pathlib import Path
from typing import Final

from oragen.encoders.files import CONFIG_FILE, read_config

PREFIX: Final = "timm:"
HUB: Final = "hf-hub:"
FOLDER: Final = "local-dir:"


def is_timm(source: str) -> bool:
    """Return whether a source is of timm, and not of transformers."""
    if source.startswith(PREFIX):
        return True
    return Path(source).is_dir() and _holds_timm(Path(source))


def _holds_timm(folder: Path) -> bool:
    if not (folder / CONFIG_FILE).exists():
        return False
    config = read_config(str(folder), None)
    return "architecture" in config and "model_type" not in config  # transformers wraps timm, too
