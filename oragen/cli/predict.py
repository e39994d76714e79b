"""`oragen predict`: clips -> predictions as a table, a file, drawn clips and figures."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from oragen.cli.drawn_files import MisuseError, plan_files, protect
from oragen.cli.options import ModelName
from oragen.cli.shown_predictions import Refused, show_predictions
from oragen.schema.choices.features import Precision
from oragen.schema.choices.preprocessing import PreprocessingRules
from oragen.schema.surroundings import explain_os_error

if TYPE_CHECKING:  # importing these takes seconds, which --help need not wait for
    from oragen.predictor import Prediction
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
    model: ModelName = None,
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
    from oragen.cli.trained import check_model, choose_model

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
    lines = sys.stdin.buffer if STANDARD_INPUT in inputs else ()
    clips, passed_over = find_clips(inputs, lines)
    if not clips:
        raise MisuseError("Standard input names no file: write one path a line.")
    drawings = plan_files(clips, draw, "--draw", DRAWN_SUFFIXES)
    plots = plan_files(clips, plot, "--plot", PLOT_SUFFIXES)
    files = [] if output in (None, STANDARD_OUTPUT) else [output]
    protect(clips, [*files, *drawings.values(), *plots.values()])
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
            show_predictions(shown, refused, passed_over, predictor.warnings, is_piped=is_piped)
        raise
    show_predictions(shown, refused, passed_over, predictor.warnings, is_piped=is_piped)
    if refused or not all(prediction.is_predicted for prediction in shown):
        raise typer.Exit(EXIT_UNPREDICTED)


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
