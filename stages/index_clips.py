"""Corpus tree -> clips table, and the table of the user's own columns."""

import logging

from oragen.config import paths
from oragen.config.params import load_params
from oragen.corpora.manifest import STAGE, build_manifest
from oragen.corpora.registry import CARDS, read_corpus
from oragen.corpora.statistics import find_oddities
from oragen.schema.attributes import ATTRIBUTES
from oragen.schema.tables import CLIPS
from stages.running import account, run_stage

logger = logging.getLogger(__name__)


def main(corpus: str) -> None:
    """List the clips of CORPUS with their labels, splits and content hashes."""
    entry = load_params().corpus(corpus)
    records = read_corpus(corpus, entry)
    manifest = build_manifest(
        corpus,
        entry.root,
        records,
        paths.hash_memory(corpus),
        follow_links=entry.follow_links,
    )
    for oddity in find_oddities(manifest.clips, manifest.skipped, CARDS[entry.reader]):
        logger.warning("Corpus %r: %s", corpus, oddity)
    CLIPS.write(paths.clips_table(corpus), manifest.clips)
    ATTRIBUTES.write(paths.attributes_table(corpus), manifest.attributes)
    account(
        STAGE,
        corpus,
        clips_in=manifest.clip_ids,
        clips_out=manifest.clips["clip_id"].tolist(),
        skipped=manifest.skipped,
        made=f"{manifest.clips['speaker_id'].nunique()} speakers",
    )


if __name__ == "__main__":
    run_stage(main)
