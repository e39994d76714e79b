"""Predictions -> a table on the screen, and lines on what went wrong or must be known."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer
from rich.markup import escape
from rich.table import Table

from oragen.cli.printing import print_table
from oragen.schema.names import printable

if TYPE_CHECKING:  # importing these takes seconds, which --help need not wait for
    from oragen.predictor import ClassPrediction, Prediction


class Refused(NamedTuple):
    """A clip that was not drawn, and why."""

    name: str
    reason: str


def show_predictions(
    predictions: Sequence["Prediction"],
    refused: Sequence[Refused],
    passed_over: Sequence[Path],
    of_model: Sequence[str],
    *,
    is_piped: bool,
) -> None:
    """Show the predictions as a table, unless standard output has them; then what went wrong.

    Warnings of the model are shown once, those of a clip with its name.
    """
    from oragen.predictor.output import reasons_of

    predicted = [prediction for prediction in predictions if prediction.is_predicted]
    if predicted and not is_piped:
        _print_predictions(predicted)
    lines = _list_warnings(predicted, of_model)
    lines += [
        f"{prediction.input}: not predicted: {reasons_of(prediction)}"
        for prediction in predictions
        if not prediction.is_predicted
    ]
    lines += [f"{one.name}: not drawn: {one.reason}" for one in refused]
    lines += [
        f"{prediction.input}: {note}" for prediction in predicted for note in prediction.notes
    ]
    if passed_over:
        files = "1 file" if len(passed_over) == 1 else f"{len(passed_over)} files"
        lines.append(
            f"passed over in folders: {files}, e.g. {printable(str(passed_over[0]))}: hidden, or "
            "no sound, video or picture"
        )
    for line in lines:
        typer.echo(printable(line), err=is_piped)


def _list_warnings(predicted: Sequence["Prediction"], of_model: Sequence[str]) -> list[str]:
    """List the warnings of the model, then those of clips; the unfamiliar clips are counted."""
    from oragen.training.model_warnings import UNLIKE

    lines = [f"Warning: {warning}" for warning in of_model] if predicted else []
    if number := sum(prediction.unfamiliar is True for prediction in predicted):
        lines.append(
            f"Warning: {number} of {len(predicted)} unlike the clips of training (above 1 in the "
            "table). Such a prediction is a guess, and its age has no interval."
        )
    lines += [
        f"{prediction.input}: {warning}"
        for prediction in predicted
        for warning in prediction.warnings
        if warning not in of_model and not warning.startswith(UNLIKE)
    ]
    return lines


def _print_predictions(predictions: Sequence["Prediction"]) -> None:
    table = Table()
    table.add_column("clip", overflow="fold")
    for name in ("gender", "age", "mask type"):
        table.add_column(name)
    table.add_column("windows", justify="right")
    table.add_column("predicted from")
    is_measured = any(prediction.unfamiliarity is not None for prediction in predictions)
    if is_measured:
        table.add_column("unlike training", justify="right", no_wrap=True)
    for prediction in predictions:
        cells = [*_to_row(prediction), *([_to_distance(prediction)] if is_measured else [])]
        table.add_row(*(escape(printable(cell)) for cell in cells))
    print_table(table)


def _to_row(prediction: "Prediction") -> tuple[str, ...]:
    age, mask_type = prediction.age, prediction.mask_type
    assert prediction.gender is not None
    assert age is not None
    years = f"{age.value:.1f}"
    if age.interval is not None:
        low, high = age.interval
        years += f" ({low:.0f}–{high:.0f})"
    words = {"audio": "voice", "face": "face"}
    used = ", ".join(
        words[modality] for modality, report in prediction.modalities.items() if report.usable
    )
    if prediction.reasons:
        used += f" ({prediction.reasons})"
    return (
        prediction.input,
        _with_share(prediction.gender),
        years,
        "–" if mask_type is None else _with_share(mask_type),
        str(len(prediction.windows)),
        used,
    )


def _to_distance(prediction: "Prediction") -> str:
    return "–" if prediction.unfamiliarity is None else f"{prediction.unfamiliarity:.2f}"


def _with_share(prediction: "ClassPrediction") -> str:
    from oragen.predictor.output import name_others

    share = prediction.probabilities[prediction.label]
    return f"{prediction.label} {share:.0%}{name_others(prediction)}"
