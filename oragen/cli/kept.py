"""`oragen models`: models that oragen knows by name -> a list, a download, a check."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.filesize import decimal

from oragen.models.released import REPOSITORY
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.errors import UserError

if TYPE_CHECKING:
    from oragen.cli.known_models import KnownFile, KnownModel

EXIT_DAMAGED: Final = 1
NAMES: Final = ("oragen", "yunet", OFF_THE_SHELF)
models_app = typer.Typer(
    no_args_is_help=True,
    help="List, fetch and check the models that oragen knows by name. See docs/models.md.",
)


@models_app.command("list")
def list_models() -> None:
    """Show each model with its licence, size and SHA-256, where it is kept, and if it is there."""
    from oragen.cli.known_models import list_known

    for model in list_known():
        typer.echo(f"{model.name}: {model.purpose}")
        typer.echo(f"  licence  {model.licence}")
        typer.echo(f"  size     {decimal(model.num_bytes)}")
        typer.echo(f"  kept in  {model.place}")
        typer.echo(f"  there    {'yes' if model.is_there else f'no. {model.remedy}'}")
        for file in model.files:
            typer.echo(f"  SHA-256  {file.sha256 or 'the hub tells it'}  {_shown(model, file)}")


@models_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A file that you brought from elsewhere; of yunet only."),
    ] = None,
) -> None:
    """Download a model to where it is kept, unless it is there.

    Examples: `oragen models fetch yunet`, `oragen models fetch yunet --from yunet.onnx`
    """
    from oragen.config.messages import suggest
    from oragen.config.settled_faces import unsettle

    if name not in NAMES:
        raise UserError(f"{name!r} is no model that can be fetched{suggest(name, NAMES)}")
    if source is not None and name != "yunet":
        raise UserError(f"--from is for yunet. Name a folder of the files of {name} with --model.")
    typer.echo(f"{name} is in {_fetch(name, source)}")
    if name == "yunet" and unsettle():
        typer.echo("The next `dvc repro` here uses it where `faces.detector` is auto.")


@models_app.command()
def check() -> None:
    """Read what is kept and compare its SHA-256.

    Exit code 0: all that is there is whole; 1: a file is damaged.
    """
    from oragen.cli.known_models import list_known

    there = [model for model in list_known() if any(file.path.is_file() for file in model.files)]
    if not there:
        typer.echo("No model is kept here. `oragen models list` shows which there are.")
    damaged = [model for model in there if not _check(model)]
    if damaged:
        raise typer.Exit(EXIT_DAMAGED)


def _fetch(name: str, source: Path | None) -> Path:
    if name == OFF_THE_SHELF:
        return _find_off_the_shelf()
    return _fetch_yunet(source) if name == "yunet" else _fetch_released()


def _find_off_the_shelf() -> Path:
    """Return where pip has put the networks, which it alone can download."""
    from oragen.cli.known_models import off_the_shelf

    known = off_the_shelf()
    if not known.is_there:
        raise UserError(f"{OFF_THE_SHELF} comes with a package of pip. {known.remedy}")
    return known.place


def _fetch_yunet(source: Path | None) -> Path:
    from oragen.detection.yunet_weights import fetch_yunet, keep_yunet

    return fetch_yunet() if source is None else keep_yunet(source)


def _fetch_released() -> Path:
    from oragen.cli.known_models import HUB_PAGE
    from oragen.models.hub import find_folder

    typer.echo(f"{REPOSITORY}: three files, 1.7 GB; see {HUB_PAGE} for the licence", err=True)
    folder = find_folder(REPOSITORY)
    from oragen.predictor.published import find_model

    return find_model(folder)


def _check(model: "KnownModel") -> bool:
    """Compare the files of a model; say of each one whether it is whole."""
    is_whole = True
    for file in model.files:
        state = _compare(file)
        is_whole &= state not in ("missing", "damaged")
        typer.echo(f"{model.name}: {_shown(model, file)}: {state}")
    if not is_whole:
        typer.echo(f"{model.name}: {model.remedy}")
    return is_whole


def _compare(file: "KnownFile") -> str:
    if not file.path.is_file():
        return "missing"
    with file.path.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if file.sha256 is None:
        return f"SHA-256 {found}, with nothing to compare it to"
    return "whole" if found == file.sha256 else "damaged"


def _shown(model: "KnownModel", file: "KnownFile") -> str:
    return file.path.relative_to(model.place).as_posix()
