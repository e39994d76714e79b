"""Predictions and the settings of a run -> the sentences at the head of a report."""

from collections.abc import Mapping, Sequence
from itertools import starmap
from typing import Final, NamedTuple

import pandas as pd

from oragen.reporting.coverage import cover_ages, find_half_widths, find_level
from oragen.schema.choices.protocols import EvaluationProtocol
from oragen.training.model_warnings import warn_of_model
from oragen.training.training_data import TrainingCorpus, TrainingData

PROTOCOLS: Final[dict[EvaluationProtocol, str]] = {
    "clean": "Heads are selected on dev. Each clip is scored once, by the mean over its windows. "
    "Clips without a prediction are counted, not scored.",
    "paper": "As published, to be compared with published numbers. Heads are trained on train and "
    "dev, and the last epoch is kept. A clip gets the most frequent class of its windows and their "
    "mean age in whole years. A clip without a window gets the majority baseline of the training "
    "clips.",
}


class Settings(NamedTuple):
    """The settings that a reader of scores must know."""

    protocol: EvaluationProtocol
    splits: Sequence[str]
    seeds: Sequence[int]
    encoders: Mapping[str, Sequence[str]]  # the corpora that each was fine-tuned on, if any
    training: Mapping[str, TrainingData | None]  # of each head; None: it does not say it


def describe_run(
    clips: pd.DataFrame, widest: pd.DataFrame, head: str, settings: Settings
) -> list[str]:
    """Describe in a few sentences what was scored, and how.

    Args:
        clips: a row for each clip, or several.
        widest: predictions of one head, from all modalities it takes.
        head: its name.
        settings: of the run.
    """
    clips = clips.drop_duplicates("clip_id")
    corpora = ", ".join(sorted(clips["corpus"].unique()))
    num_speakers = len(clips[["corpus", "speaker_id"]].drop_duplicates())
    seeds = ", ".join(map(str, settings.seeds))
    encoders = "; ".join(starmap(_describe_encoder, settings.encoders.items()))
    sentences = [
        *warn_of_training(settings.training),
        *describe_training(settings.training),
        f"Scored on {' and '.join(settings.splits)} of {corpora}: {len(clips)} clips of "
        f"{num_speakers} speakers. Protocol `{settings.protocol}`: "
        f"{PROTOCOLS[settings.protocol]}",
        f"Training seeds: {seeds}. Encoders: {encoders}.",
    ]
    if (coverage := measure_coverage(widest)) is not None:
        sentences.append(
            f"{coverage:.0%} of the true ages lie in the {find_level(widest) * 100:.0f} % interval "
            f"of {head}, which was fitted on dev.{_describe_without_interval(widest)}"
        )
    return sentences


def _describe_without_interval(predictions: pd.DataFrame) -> str:
    """Say that clips unlike those of training have no interval, if there are any."""
    if "unfamiliarity" not in predictions or not (predictions["unfamiliarity"] > 1).any():
        return ""
    return " Clips unlike those of training have none."


def describe_drawn(corpora: Sequence[str]) -> list[str]:
    """Say of which corpora the people are drawn; nothing where there are none."""
    if not corpora:
        return []
    names = " and ".join(corpora)
    return [
        f"The people in {names} are drawn, and their voices are synthetic: oragen generated "
        "them, and nobody was recorded."
    ]


def list_facts(facts: Mapping[str, str]) -> list[str]:
    """Write what a report was made from as one list in Markdown."""
    return ["\n".join(f"- {name}: {value}" for name, value in facts.items())]


def warn_of_training(training: Mapping[str, TrainingData | None]) -> list[str]:
    """Return the warnings of all heads, each once; it names the heads unless it is of all."""
    heads: dict[str, list[str]] = {}
    for head, record in training.items():
        for warning in warn_of_model(record):
            heads.setdefault(warning, []).append(head)
    return [
        f"Warning: {warning}"
        if len(names) == len(training)
        else f"Warning ({', '.join(names)}): {warning}"
        for warning, names in heads.items()
    ]


def describe_training(training: Mapping[str, TrainingData | None]) -> list[str]:
    """Describe on whom the heads were trained; heads of the same clips share a sentence."""
    heads: dict[TrainingData, list[str]] = {}
    for head, record in training.items():
        if record is not None:
            heads.setdefault(record, []).append(head)
    return [
        f"{'All heads' if len(names) == len(training) else ', '.join(names)}: trained on "
        f"{'; '.join(map(_describe_corpus, record.corpora))}{_describe_ages(record)}."
        for record, names in heads.items()
    ]


def _describe_corpus(corpus: TrainingCorpus) -> str:
    origin = ", generated" if corpus.generated else ""
    speakers = "" if corpus.num_speakers is None else f" of {corpus.num_speakers} speakers"
    return f"{corpus.name} ({corpus.num_clips} clips{speakers}{origin})"


def _describe_ages(training: TrainingData) -> str:
    if training.youngest_years is None or training.oldest_years is None:
        return ""
    return f"; ages {training.youngest_years:.0f} to {training.oldest_years:.0f}"


def measure_coverage(predictions: pd.DataFrame) -> float | None:
    """Return the share of known ages inside the head's interval; None where it has none."""
    holds = cover_ages(predictions, find_half_widths(predictions)).holds.dropna()
    return float(holds.mean()) if len(holds) else None


def _describe_encoder(encoder: str, trained_on: Sequence[str]) -> str:
    origin = f"fine-tuned on {', '.join(trained_on)}" if trained_on else "not fine-tuned"
    return f"{encoder} ({origin})"
