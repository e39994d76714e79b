"""Corpus tree -> clips table."""

from oragen import artefacts
from oragen.catalogue import read_corpus
from oragen.config import load_params
from oragen.corpora.listing import list_clips
from oragen.schema import CLIPS
from stages.running import account, run_stage

STAGE = "index_clips"


def main(corpus: str) -> None:
    """List the clips of CORPUS with their labels, splits and content hashes."""
    entry = load_params().corpora[corpus]
    records = read_corpus(corpus, entry)
    listing = list_clips(corpus, entry.root, records, artefacts.hash_memory(corpus))
    CLIPS.write(artefacts.clips_table(corpus), listing.clips)
    account(
        STAGE,
        corpus,
        clips_in=listing.listed,
        clips_out=listing.clips["clip_id"].tolist(),
        skipped=listing.skipped,
        made=f"{listing.clips['speaker_id'].nunique()} speakers",
    )


if __name__ == "__main__":
    run_stage(main)
