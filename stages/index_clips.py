"""Corpus tree -> clips table."""

from collections.abc import Iterator
from typing import assert_never

from oragen import artefacts
from oragen.config import Corpus, CsvCorpus, GeneratedCorpus, load_params
from oragen.corpora.csv import read_csv
from oragen.corpora.generated import read_generated
from oragen.corpora.listing import ClipRecord, list_clips
from oragen.generator import CorpusSpec
from oragen.schema import CLIPS
from stages.running import account, run_stage

STAGE = "index_clips"


def main(corpus: str) -> None:
    """List the clips of CORPUS with their labels, splits and content hashes."""
    entry = load_params().corpora[corpus]
    records = list(read_corpus(corpus, entry))
    listing = list_clips(corpus, entry.root, records, artefacts.hash_memory(corpus))
    CLIPS.write(artefacts.clips_table(corpus), listing.clips)
    account(
        STAGE,
        corpus,
        clips_in={f"{corpus}/{record.stem}" for record in records},
        clips_out=listing.clips["clip_id"],
        skipped=listing.skipped,
        made=f"{listing.clips['speaker_id'].nunique()} speakers",
    )


def read_corpus(corpus: str, entry: Corpus) -> Iterator[ClipRecord]:
    """Choose the reader."""
    match entry:
        case GeneratedCorpus():
            spec = CorpusSpec(entry.condition, entry.num_speakers, entry.seed)
            return read_generated(corpus, entry.root, spec)
        case CsvCorpus():
            return read_csv(corpus, entry.root, entry.table)
        case _:
            assert_never(entry)


if __name__ == "__main__":
    run_stage(main)
