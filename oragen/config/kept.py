"""Models that are kept on this machine -> the folder where they lie."""

from pathlib import Path


def kept_models() -> Path:
    """Return the folder of all that oragen keeps: `oragen` in the cache of the hub.

    That is `~/.cache/huggingface/oragen`, unless the environment variable HF_HOME names another
    cache.
    """
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "oragen"
