"""The prediction of one clip -> a plot of it over time."""

from collections.abc import Sequence
from pathlib import Path

from oragen.predictor.output import describe
from oragen.predictor.prediction import Prediction
from oragen.reporting.figures.example import ExampleWindow
from oragen.reporting.figures.prediction import ClipPredictions, draw_predictions
from oragen.schema.names import printable
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Span


def plot_prediction(target: Path, prediction: Prediction) -> None:
    """Draw the predictions of a clip over its time as a PNG, above speech and faces."""
    draw_predictions(target, to_clip_predictions(prediction))


def to_clip_predictions(prediction: Prediction) -> ClipPredictions:
    """Return what `draw_predictions` draws."""
    age = prediction.age
    return ClipPredictions(
        title=printable(Path(prediction.input).name),
        words=", ".join(describe(prediction)),
        length_s=prediction.length_s,
        age_years=None if age is None else age.value,
        age_interval=None if age is None else age.interval,
        windows=[
            ExampleWindow(
                *_in_seconds(window.span),
                genders=window.gender.probabilities,
                age_years=window.age_years,
                mask_types=window.mask_type.probabilities if window.mask_type else {},
            )
            for window in prediction.windows
        ],
        speech_s=[_in_seconds(span) for span in prediction.speech],
        faces_s=find_stretches([box.time_s for box in prediction.faces]),
        no_speech=prediction.modalities["audio"].reason or "no speech",
        no_face=prediction.modalities["face"].reason or "no face",
        warnings=prediction.warnings if prediction.is_predicted else (),
    )


def find_stretches(times_s: Sequence[float]) -> list[tuple[float, float]]:
    """Join seconds that follow each other, named by their beginnings, to half-open stretches."""
    stretches: list[tuple[float, float]] = []
    for time_s in times_s:
        if stretches and time_s <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], time_s + 1)
        else:
            stretches.append((time_s, time_s + 1))
    return stretches


def _in_seconds(span: Span) -> tuple[float, float]:
    return span.start / SAMPLE_RATE_HZ, span.stop / SAMPLE_RATE_HZ
