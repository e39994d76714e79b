"""The embedded demo corpora: drawn and synthesised talking heads, made by `oragen generate`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from oragen.corpora.corpus_card import CorpusCard
from oragen.corpora.csv import read_csv
from oragen.corpora.generator import SPEC_FILE, CorpusSpec, check_spec
from oragen.corpora.manifest import ClipRecord, CorpusError

TABLE = Path("labels.csv")
CARD: Final = CorpusCard(
    title="the demo corpora",
    modalities="audio, face",
    labels="gender, age, mask type",
    licence="made on this machine",
    access="`oragen generate`",
    splits="train, dev and test, by speaker",
    layout="""
labels.csv      media,speaker_id,gender,age_years,mask_type,split
corpus.json     what it was generated from
clips/*.mp4     talking heads
""",
)


def read_generated(corpus: str, root: Path, spec: CorpusSpec) -> Iterator[ClipRecord]:
    """Yield a record for each generated clip.

    Raises:
        CorpusError: when the corpus has not been generated yet.
        UserError: when it was generated to another spec.
    """
    if not ((root / TABLE).is_file() and (root / SPEC_FILE).is_file()):
        raise CorpusError(
            f"Corpus {corpus!r} has not been generated at {root}. Run `oragen generate {corpus}`."
        )
    check_spec(root, spec)
    yield from read_csv(corpus, root, TABLE)
