"""A folder made by `oragen generate` -> records of its clips: the embedded demo corpora."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from oragen.corpora.corpus_card import CorpusCard
from oragen.corpora.csv import read_csv
from oragen.corpora.generator.spec import SPEC_FILE, CorpusSpec, check_spec
from oragen.corpora.records import ClipRecord, CorpusError

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
corpus.json     the specification that it was generated from
clips/*.mp4     talking heads
""",
)


def read_generated(corpus: str, root: Path, spec: CorpusSpec) -> Iterator[ClipRecord]:
    """Yield a record for each generated clip.

    Raises:
        CorpusError: the corpus has not been generated yet.
        UserError: it was generated to another spec.
    """
    if not ((root / TABLE).is_file() and (root / SPEC_FILE).is_file()):
        raise CorpusError(
            f"Corpus {corpus!r} has not been generated at {root}. Run `oragen generate {corpus}`."
        )
    check_spec(root, spec)
    yield from read_csv(corpus, root, TABLE)
