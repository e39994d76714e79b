"""A model as it is named, or params.yaml -> whether it can be, or the head trained here."""

from pathlib import Path

from oragen.config import paths
from oragen.config.messages import ParamsError
from oragen.config.params import PARAMS_PATH, load_params
from oragen.models.hub import find_here
from oragen.models.places import DESCRIPTION_FILE


def check_model(model: str | None) -> None:
    """Refuse a mistaken name of a model before the seconds that imports take.

    Raises:
        ModelError: it is no folder of a model and no name on the hub, or the hub is out of reach.
    """
    if model is not None:
        find_here(model)


def find_trained_head() -> Path:
    """Return the folder of the first head of `use_heads`, trained with the first seed.

    Raises:
        ParamsError: it was not trained yet, or this is no project's folder.
    """
    if not PARAMS_PATH.is_file():
        raise ParamsError(
            f"There is no {PARAMS_PATH} here to tell which head was trained. Name a model with "
            "--model, or run this in the project's folder."
        )
    params = load_params()
    folder = paths.head_folder(params.use_heads[0]) / f"seed-{params.train.seeds[0]}"
    if not (folder / DESCRIPTION_FILE).is_file():
        raise ParamsError(
            f"No head was trained here yet: {folder} holds none. Run `make demo` or `dvc repro`, "
            "or name a model with --model."
        )
    return folder
