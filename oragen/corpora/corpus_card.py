"""What is known of a corpus: what it holds, how one gets it, how it lies on the disk."""

from dataclasses import dataclass, field
from pathlib import Path

from oragen.corpora.manifest import CorpusError


@dataclass(frozen=True)
class Statistics:
    """Published counts, to hold one's own copy against; None or empty = not published."""

    source: str
    clips: int | None = None
    counted: str = "speakers"  # what `by_gender` counts
    by_gender: dict[str, int] = field(default_factory=dict)
    age_range_years: tuple[int, int] | None = None
    age_mean_years: float | None = None
    age_std_years: float | None = None
    hours: float | None = None


@dataclass(frozen=True)
class CorpusCard:
    """One corpus, for people who look for it or whose copy is not found."""

    title: str
    modalities: str  # "audio" | "face" | "audio, face"
    labels: str  # such as "gender, age"
    licence: str
    access: str  # how one gets it
    splits: str  # the official ones, and what is made of them here
    layout: str  # the expected tree, a line a folder or file
    statistics: Statistics | None = None


def wrong_layout(corpus: str, root: Path, card: CorpusCard, found: str) -> CorpusError:
    """Return the error for a tree that is not as expected; `found` says what is amiss."""
    tree = "\n".join(f"    {line}" for line in card.layout.strip("\n").splitlines())
    return CorpusError(
        f"Corpus {corpus!r}: {root} is no copy of {card.title} that can be read: {found}. "
        f"Expected there:\n{tree}\nMend corpora.{corpus}.root in params.yaml, or put the corpus "
        "(or a link to it) there."
    )
