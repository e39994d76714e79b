"""What is published about a corpus -> its card: contents, licence, access, layout, statistics."""

from dataclasses import dataclass, field
from pathlib import Path

from oragen.corpora.records import CorpusError


@dataclass(frozen=True)
class Statistics:
    """Published counts to compare a copy with; None or empty = not published."""

    source: str
    clips: int | None = None
    counted: str = "speakers"  # the unit of `by_gender`: speakers or clips
    by_gender: dict[str, int] = field(default_factory=dict)
    age_range_years: tuple[int, int] | None = None
    age_mean_years: float | None = None
    age_std_years: float | None = None
    hours: float | None = None


@dataclass(frozen=True)
class CorpusCard:
    """One corpus, for users who look for it or whose copy is not laid out as expected."""

    title: str
    modalities: str  # "audio" | "face" | "audio, face"
    labels: str  # such as "gender, age"
    licence: str
    access: str  # how to get it
    splits: str  # the official ones, and how they are used here
    layout: str  # the expected tree, a line a folder or file
    statistics: Statistics | None = None


def wrong_layout(corpus: str, root: Path, card: CorpusCard, problem: str) -> CorpusError:
    """Return the error for a tree that is not as expected, with the expected layout."""
    tree = "\n".join(f"    {line}" for line in card.layout.strip("\n").splitlines())
    return CorpusError(
        f"Corpus {corpus!r}: {root} is no readable copy of {card.title}: {problem}. "
        f"Expected there:\n{tree}\nCorrect corpora.{corpus}.root in params.yaml, or put the corpus "
        "(or a link to it) there."
    )
