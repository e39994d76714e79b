"""`oragen predict`: clips -> predictions as a table, a file, drawn clips and figures."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.markup import escape
from rich.table import Table

from oragen.cli.printing import print_table
from oragen.cli.trained import check_model, choose_model
from oragen.schema.choices.preprocessing import PreprocessingRules
from oragen.schema.errors import UserError
from oragen.schema.names import fold_name, printable
from oragen.schema.surroundings import explain_os_error
from oragen.schema.vocabulary import Precision

if TYPE_CHECKING:  # importing these takes seconds, which --help need not wait for
    from oragen.predictor import ClassPrediction, Prediction
    from oragen.predictor.files import NamedClip

EXIT_UNPREDICTED: Final = 3
DRAWN_SUFFIXES: Final = (".mp4", ".png")
PLOT_SUFFIXES: Final = (".png",)
EPILOGUE: Final = """
**Examples**

`oragen predict clip.mp4` shows a table.

`oragen predict interviews/ --output predictions.csv` predicts a whole folder, one row per clip.

`oragen predict 'day?/*.wav' --audio-only --output predictions.jsonl` uses audio only.

`find . -name '*.mov' | oragen predict - --output - | jq .age` reads names and writes JSON lines.

`oragen predict clip.mp4 --draw drawn.mp4 --plot clip.png` draws into the clip, and plots over time.

Exit code 0: all were predicted and drawn; 3: some were not; 2: wrong options, nothing was done.

See docs/predict.md.
"""


class MisuseError(UserError):
    """Options that do not go together, or lead nowhere."""


class Refused(NamedTuple):
    """A clip that was not drawn, and why."""

    name: str
    reason: str


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders, patterns in quotes, or - for names on standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write predictions: .json, .jsonl, .csv, .parquet, or - for JSON lines.",
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(help="Draw boxes and a timeline into the clip: an .mp4, or a folder."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Plot the predictions over time: a .png, or a folder."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder of a model, its id on a hub, or off-the-shelf.",
            show_default="the head that was trained here, else off-the-shelf",
        ),
    ] = None,
    audio_only: Annotated[bool, typer.Option("--audio-only", help="Use the voice only.")] = False,
    face_only: Annotated[bool, typer.Option("--face-only", help="Use the face only.")] = False,
    boxes: Annotated[
        Path | None,
        typer.Option(help="JSON with the place of the face: file name -> a box or null a second."),
    ] = None,
    rules: Annotated[
        PreprocessingRules | None,
        typer.Option(
            help="How clips are prepared for the released model.",
            show_default="as its published inference does",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    precision: Annotated[
        Precision | None,
        typer.Option(help="What the encoders compute in.", show_default="as in training"),
    ] = None,
) -> None:
    """Predict gender, age with its interval, and mask type of the speaker in each clip.

    A clip is a video, audio or image file. It may lack a face or speech. Clips that cannot be used
    are listed with the reason; all others are predicted.
    """
    if audio_only and face_only:
        raise MisuseError("--audio-only and --face-only leave nothing: use one of them, or none.")
    check_model(model)
    from oragen.predictor import Predictor
    from oragen.predictor.boxes import read_boxes
    from oragen.predictor.files import (
        STANDARD_INPUT,
        find_clips,
        names_one_file,
        predict_named_clips,
    )
    from oragen.predictor.output import STANDARD_OUTPUT, check_suffix, open_output
    from oragen.training.devices import choose_device

    if output is not None:
        check_suffix(output)
    choose_device(device)  # before anything is loaded
    passed_over: list[Path] = []
    lines = sys.stdin.buffer if STANDARD_INPUT in inputs else ()
    clips = find_clips(inputs, lines, passed_over)
    if not clips:
        raise MisuseError("Standard input names no file: write one path a line.")
    drawings = _plan_files(clips, draw, "--draw", DRAWN_SUFFIXES)
    plots = _plan_files(clips, plot, "--plot", PLOT_SUFFIXES)
    files = [] if output in (None, STANDARD_OUTPUT) else [output]
    _protect(clips, [*files, *drawings.values(), *plots.values()])
    known_boxes = {} if boxes is None else read_boxes(boxes)
    source = choose_model() if model is None else model
    predictor = Predictor.from_pretrained(source, device=device, precision=precision, rules=rules)
    predictions = predict_named_clips(
        predictor,
        clips,
        use_audio=not face_only,
        use_face=not audio_only,
        boxes=known_boxes,
    )
    is_piped = output == STANDARD_OUTPUT
    shown = []
    refused: list[Refused] = []
    try:
        with ExitStack() as stack:
            writes = []
            if output is not None:
                writes.append(
                    stack.enter_context(open_output(output, as_object=names_one_file(inputs)))
                )
            progress = _show_progress(predictions, len(clips), is_silent=is_piped)
            for clip, prediction in zip(clips, progress, strict=True):
                shown.append(prediction)
                for write in writes:
                    write(prediction)
                refused += _draw_all(clip, prediction, drawings, plots)
    except OSError as error:
        if not isinstance(
            error, BrokenPipeError
        ):  # show what was computed before the disk was full
            _report(shown, refused, passed_over, predictor.warnings, is_piped=is_piped)
        raise
    _report(shown, refused, passed_over, predictor.warnings, is_piped=is_piped)
    if refused or not all(prediction.is_predicted for prediction in shown):
        raise typer.Exit(EXIT_UNPREDICTED)


def _plan_files(
    clips: Sequence["NamedClip"], target: Path | None, option: str, suffixes: tuple[str, ...]
) -> dict[Path, Path]:
    """Say which file each clip is drawn to: the target itself, or one in it, a name each."""
    if target is None:
        return {}
    if target.suffix and not target.is_dir():
        if target.suffix.lower() not in suffixes:
            known = " or ".join(suffixes)
            raise MisuseError(
                f"{option} {target} is neither a folder nor a file ending in {known}."
            )
        if len(clips) > 1:
            raise MisuseError(
                f"{option} {target} is one file for {len(clips)} clips: name a folder."
            )
        return {clips[0].path: target}
    planned: dict[Path, Path] = {}
    taken: set[str] = set()
    for clip in clips:
        suffix = suffixes[-1] if _is_image(clip.path) else suffixes[0]
        numbers = (f"-{number}" for number in count(2))
        names = (f"{clip.path.stem}{number}{suffix}" for number in chain([""], numbers))
        name = next(name for name in names if fold_name(name) not in taken)
        taken.add(fold_name(name))
        planned[clip.path] = target / name
    return planned


def _is_image(path: Path) -> bool:
    """Tell by its name whether a file is drawn as a picture; a GIF may move."""
    from oragen.corpora.csv import IMAGE_SUFFIXES

    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES and suffix != ".gif"


def _protect(clips: Sequence["NamedClip"], targets: Sequence[Path]) -> None:
    """Refuse to write over what is read, or twice to one file, or where nothing can be written."""
    read = {clip.path.resolve() for clip in clips}
    written: set[Path] = set()
    for target in targets:
        where = target.resolve()
        if where in read or where in written:
            problem = "is one of the clips" if where in read else "would be written twice"
            raise MisuseError(f"{target} {problem}: choose another name or folder to write to.")
        written.add(where)
    for folder in {target.parent for target in targets}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _nothing_written(folder, error.strerror) from error
        if not os.access(folder, os.W_OK):
            raise _nothing_written(folder, "no permission")


def _nothing_written(folder: Path, why: str | None) -> MisuseError:
    return MisuseError(f"Nothing can be written to {folder}: {why}. Name another folder.")


def _show_progress(
    predictions: Iterator["Prediction"], total: int, *, is_silent: bool
) -> Iterator["Prediction"]:
    from tqdm import tqdm

    hidden = True if is_silent or total < 2 else None  # None: where stderr is no terminal
    return iter(tqdm(predictions, total=total, desc="predicting", unit="clip", disable=hidden))


def _draw_all(
    clip: "NamedClip", prediction: "Prediction", drawings: Mapping[Path, Path],
    plots: Mapping[Path, Path],
) -> Iterator[Refused]:  # fmt: skip
    """Draw a clip to the files planned for it; yield why that was not possible."""
    if prediction.length_s == 0:  # nothing of it could be read, which is said anyway
        return
    if target := drawings.get(clip.path):
        from oragen.predictor.drawing import DrawingError, draw_clip

        try:
            draw_clip(clip.path, prediction, target)
        except DrawingError as error:
            yield Refused(str(clip.path), str(error))
    if target := plots.get(clip.path):
        from oragen.predictor.plot import plot_prediction

        try:
            plot_prediction(target, prediction)
        except OSError as error:
            yield Refused(str(clip.path), explain_os_error(error))


def _report(
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
    return f"{prediction.label} {prediction.probabilities[prediction.label]:.0%}"
