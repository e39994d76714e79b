"""`oragen to-oceanai`: predictions -> a table for OCEAN-AI."""

from pathlib import Path
from typing import Annotated

import typer

from oragen.schema.files import write_text
from oragen.schema.names import neutralise


def to_oceanai(
    predictions: Annotated[
        Path,
        typer.Argument(help="A JSON or JSONL file of `oragen predict`.", metavar="PREDICTIONS"),
    ],
    output: Annotated[
        Path | None, typer.Option(help="A CSV file to write.", show_default="the terminal")
    ] = None,
    merge: Annotated[
        Path | None,
        typer.Option(help="A CSV file of OCEAN-AI to add the columns to.", metavar="CSV"),
    ] = None,
) -> None:
    """Turn PREDICTIONS into a table with OCEAN-AI's columns: Path, Age, Gender, Gender score, Mask.

    With --merge, the columns are added to a table of OCEAN-AI, matched by file name. Merge after
    its practical tasks, because they accept no other columns. See docs/oceanai.md.

    Example: `oragen to-oceanai predictions.json --output oragen.csv`
    """
    from oragen.predictor import oceanai

    read = oceanai.read_predictions(predictions)
    if merge is None:
        frame = oceanai.to_frame(read)
    else:
        theirs = oceanai.read_results(merge)
        ours = oceanai.to_frame(read, with_folders=oceanai.has_folders(theirs))
        frame = oceanai.merge(theirs, ours)
    whole = frame.reset_index() if frame.index.name == oceanai.INDEX else frame
    text = whole.map(neutralise).rename(columns=neutralise).to_csv(index=False)
    if output is None:
        typer.echo(text, nl=False)
        return
    _write(output, text)
    num_predicted = int((frame["Gender"].notna()).sum())
    typer.echo(f"{output}: {len(frame)} clips, {num_predicted} with predictions.")


def _write(output: Path, text: str) -> None:
    from oragen.predictor.oceanai import OceanAiError

    try:
        write_text(output, text)
    except OSError as error:
        raise OceanAiError(
            f"{output} cannot be written: {error.strerror}. Name another file."
        ) from error
