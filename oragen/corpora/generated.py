"""The embedded demo corpora: drawn and synthesised talking heads, made by `oragen generate`."""

from collections.abc import Iterator
from pathlib import Path

from oragen.corpora.csv import read_csv
from oragen.corpora.listing import ClipRecord, CorpusError
from oragen.generator import SPEC_FILE, CorpusSpec, check_spec

TABLE = Path("labels.csv")


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
