"""`oragen shard`: one shard of a stage's work -> its parts in the store, without DVC."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from oragen.schema.errors import UserError


def shard(
    stage: Annotated[
        str,
        typer.Argument(
            help="decode_audio, detect_speech, crop_faces, extract_audio_features, "
            "extract_face_features or train_head."
        ),
    ],
    corpus: Annotated[
        str, typer.Argument(help="Name of a corpus in params.yaml; of a head for train_head.")
    ],
    share: Annotated[
        str | None,
        typer.Argument(
            metavar="[I/N]",
            help="Which shard, such as 3/16; default: that of this task in an array of Slurm.",
        ),
    ] = None,
) -> None:
    """Do one shard of the work of STAGE on CORPUS: make its rows that the store lacks.

    The shards of a stage can run at the same time, on machines that share the project's folder.
    Run `dvc repro` afterwards: the stage finds nothing missing, and writes its tables.

    Example: `oragen shard extract_audio_features studio 3/16`
    """
    if not Path("stages/shard.py").is_file():
        raise UserError(
            f"{Path.cwd()} has no stages/shard.py: run this in the root of the project, where "
            "params.yaml and dvc.yaml are."
        )
    arguments = [stage, corpus, *([] if share is None else [share])]
    environment = {name: text for name, text in os.environ.items() if name != "DVC_STAGE"}
    done = subprocess.run(
        [sys.executable, "-m", "stages.shard", "--", *arguments], env=environment, check=False
    )
    raise typer.Exit(done.returncode)
