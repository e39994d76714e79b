"""On whom a model was trained -> what a reader of its predictions must know, in plain words."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Final

from oragen.schema.names import shorten
from oragen.schema.vocabulary import Modality
from oragen.training.training_data import TrainingData

MIN_SPEAKERS: Final = 100  # a model of fewer people warns: a rule of thumb
MOST_NAMED: Final = 9  # corpora
WORDS: Final[dict[Modality, str]] = {"audio": "voice", "face": "face"}
UNLIKE: Final = "This clip is unlike those of training"
NOT_RECORDED: Final = "This model does not say on whom it was trained"


def warn_of_model(training: TrainingData | None, names: Sequence[str] = ()) -> list[str]:
    """Say in plain words what a reader of the model's output must know of its training.

    Args:
        training: None where the model does not say it.
        names: of the corpora, if the model says these alone.
    """
    if training is None or not training.corpora:
        listed = f", only names of corpora: {_list_names(names)}" if names else ""
        return [f"{NOT_RECORDED}{listed}."]
    if limit := _warn_of_generated(training):
        return [limit]
    number = training.num_speakers
    if number is not None and number < MIN_SPEAKERS:
        return [
            f"This model knows few people: it was trained on {_count(number)} of "
            f"{_list_names(training.names)}. Expect large errors on others."
        ]
    return []


def _warn_of_generated(training: TrainingData) -> str | None:
    generated = [corpus for corpus in training.corpora if corpus.generated]
    if not generated:
        return None
    drawn = TrainingData(tuple(generated))
    of = f"{_count(drawn.num_speakers)} of {_list_names(drawn.names)}"
    if len(generated) == len(training.corpora):
        return (
            f"This model knows generated people only: drawn faces and synthetic voices ({of}). "
            "Do not trust it on real people."
        )
    return f"This model was trained on generated people, too: drawn faces, synthetic voices ({of})."


def _list_names(names: Sequence[str]) -> str:
    """Return the names of corpora, which may come from elsewhere, in one line at most."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(shorten(name) for name in names[:MOST_NAMED]) + more


def _count(num_speakers: int | None) -> str:
    if num_speakers is None:
        return "speakers"
    return "1 speaker" if num_speakers == 1 else f"{num_speakers} speakers"


def warn_of_distances(distances: Mapping[Modality, float]) -> list[str]:
    """Warn of a clip that is unlike those of training, and why it has no interval.

    Args:
        distances: of each modality, in units of the limit.
    """
    if max(distances.values(), default=0.0) <= 1:
        return []
    listed = ", ".join(f"{WORDS[name]} {distance:.2f}" for name, distance in distances.items())
    return [
        f"{UNLIKE} ({listed}; 1 is the limit): its prediction is a guess, and its age has no "
        "interval."
    ]


def warn_of_age(years: float | None, training: TrainingData | None) -> list[str]:
    """Warn of a predicted age outside the ages of training."""
    if years is None or training is None:
        return []
    low, high = training.youngest_years, training.oldest_years
    if low is None or high is None or low <= years <= high:
        return []
    return [
        f"The age of {years:.1f} is outside the ages of training, {ceil(low)} to {floor(high)}."
    ]
