"""Options that several commands have."""

from typing import Annotated, TypeAlias

import typer

ModelName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Folder of a model, its id on a hub, or off-the-shelf.",
        show_default="the head that was trained here, else off-the-shelf",
    ),
]
