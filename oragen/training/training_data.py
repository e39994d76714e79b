"""The clips that a model is trained on -> a record of whom it knows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class TrainingCorpus:
    """One corpus that a model was trained on; None: not known."""

    name: str
    num_speakers: int | None = None
    num_clips: int | None = None
    generated: bool | None = None  # drawn faces and synthetic voices; no people


@dataclass(frozen=True)
class TrainingData:
    """On whom a model was trained."""

    corpora: tuple[TrainingCorpus, ...]
    youngest_years: float | None = None  # of the ages of training; None: not known
    oldest_years: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written in head.json and in predictions."""
        return asdict(self) | {"corpora": [asdict(corpus) for corpus in self.corpora]}

    @property
    def names(self) -> list[str]:
        """The names of the corpora."""
        return [corpus.name for corpus in self.corpora]

    @property
    def num_speakers(self) -> int | None:
        """All speakers; None where a corpus does not give their number."""
        known = [corpus.num_speakers for corpus in self.corpora]
        return None if None in known else sum(filter(None, known))


def from_json(saved: Mapping[str, Any]) -> TrainingData:
    """Return the training data of `as_json`, whose fields were checked."""
    corpora = tuple(TrainingCorpus(**corpus) for corpus in saved["corpora"])
    return TrainingData(corpora, saved.get("youngest_years"), saved.get("oldest_years"))


def summarise(table: pd.DataFrame, generated: Mapping[str, bool]) -> TrainingData:
    """Count the speakers and clips of training, and find their youngest and oldest age.

    Args:
        table: the windows of training; a row of a clip without one, by `has_window`, is left out.
        generated: corpus -> whether its people are generated.
    """
    clips = table[table["has_window"]].drop_duplicates("clip_id")
    ages = clips["age_years"].dropna()
    corpora = tuple(
        TrainingCorpus(
            str(name), int(rows["speaker_id"].nunique()), len(rows), generated.get(str(name))
        )
        for name, rows in clips.groupby("corpus")
    )
    if ages.empty:
        return TrainingData(corpora)
    return TrainingData(corpora, float(ages.min()), float(ages.max()))
