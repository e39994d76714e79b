"""A model as it is named, or params.yaml -> whether it can be, or which model predicts."""

from pathlib import Path

import typer

from oragen.config import paths
from oragen.config.messages import ParamsError
from oragen.config.params import PARAMS_PATH, load_params
from oragen.models.hub import find_here
from oragen.models.off_the_shelf import INSTALL, find_networks
from oragen.models.places import DESCRIPTION_FILE
from oragen.schema.choices.encoders import OFF_THE_SHELF


class NothingTrainedError(ParamsError):
    """No head was trained in this folder."""


def check_model(model: str | None) -> None:
    """Refuse a mistaken name of a model before the seconds that imports take.

    Raises:
        ModelError: it is no folder of a model and no name on the hub, or the hub is out of reach.
    """
    if model is not None and model != OFF_THE_SHELF:
        find_here(model)


def choose_model() -> str:
    """Return the head that was trained here; without one, the off-the-shelf model, and say so.

    Raises:
        ParamsError: no head was trained here, and the off-the-shelf model is not installed.
    """
    try:
        return str(find_trained_head())
    except NothingTrainedError as error:
        if find_networks() is None:
            raise ParamsError(
                f"{error} For the off-the-shelf model, which tells gender and age from real faces, "
                f"run `{INSTALL}` (20 MB)."
            ) from error
    typer.echo(
        f"No head was trained here: the model {OFF_THE_SHELF} predicts. --model names another.",
        err=True,
    )
    return OFF_THE_SHELF


def find_trained_head() -> Path:
    """Return the folder of the first head of `use_heads`, trained with the first seed.

    Raises:
        NothingTrainedError: it was not trained yet, or this is no project's folder.
        ParamsError: params.yaml cannot be used.
    """
    if not PARAMS_PATH.is_file():
        raise NothingTrainedError(
            f"There is no {PARAMS_PATH} here to tell which head was trained. Name a model with "
            "--model, or run this in the project's folder."
        )
    params = load_params()
    folder = paths.head_folder(params.use_heads[0]) / f"seed-{params.train.seeds[0]}"
    if not (folder / DESCRIPTION_FILE).is_file():
        raise NothingTrainedError(
            f"No head was trained here yet: {folder} holds none. Run `make demo` or `dvc repro`, "
            "or name a model with --model."
        )
    return folder
