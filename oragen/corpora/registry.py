"""An entry of `corpora` in params.yaml -> records of its clips, and the card of the corpus."""

from collections.abc import Iterator
from typing import Final, assert_never

from oragen.config.corpora import (
    AfewCorpus,
    AgenderCorpus,
    BraveMasksCorpus,
    CommonVoiceCorpus,
    Corpus,
    CsvCorpus,
    GeneratedCorpus,
    ImdbCleanCorpus,
    LagendaCorpus,
    TimitCorpus,
    Voxceleb2Corpus,
)
from oragen.corpora import (
    afew,
    agender,
    brave_masks,
    common_voice,
    csv,
    generated,
    imdb_clean,
    lagenda,
    timit,
    voxceleb2,
)
from oragen.corpora.corpus_card import CorpusCard
from oragen.corpora.generator.spec import CorpusSpec
from oragen.corpora.records import ClipRecord

CARDS: Final[dict[str, CorpusCard]] = {
    "timit": timit.CARD,
    "agender": agender.CARD,
    "common_voice": common_voice.CARD,
    "lagenda": lagenda.CARD,
    "imdb_clean": imdb_clean.CARD,
    "afew": afew.CARD,
    "voxceleb2": voxceleb2.CARD,
    "brave_masks": brave_masks.CARD,
    "csv": csv.CARD,
    "generated": generated.CARD,
}


def read_corpus(  # noqa: C901  # one case a reader
    corpus: str, entry: Corpus
) -> Iterator[ClipRecord]:
    """Yield the clips of a corpus as it describes them.

    Raises:
        CorpusError: it is not where the entry says, or not laid out as expected.
    """
    root = entry.root
    match entry:
        case GeneratedCorpus():
            spec = CorpusSpec(entry.condition, entry.num_speakers, entry.seed)
            return generated.read_generated(corpus, root, spec)
        case CsvCorpus():
            columns, ignored, further = entry.columns, entry.ignored_columns, entry.group_columns
            if entry.tables:
                return csv.read_csv_tables(
                    corpus, root, entry.tables, columns, ignored=ignored, group_columns=further
                )
            return csv.read_csv(
                corpus, root, entry.table, columns, ignored=ignored, group_columns=further
            )
        case TimitCorpus():
            return timit.read_timit(corpus, root)
        case AgenderCorpus():
            return agender.read_agender(
                corpus,
                root,
                columns=entry.columns,
                sample_format=entry.sample_format,
                rate_hz=entry.rate_hz,
            )
        case CommonVoiceCorpus():
            languages = None if entry.languages == "all" else entry.languages
            return common_voice.read_common_voice(
                corpus, root, languages=languages, splits=entry.splits
            )
        case LagendaCorpus():
            return lagenda.read_lagenda(corpus, root, annotations=entry.annotations)
        case ImdbCleanCorpus():
            return imdb_clean.read_imdb_clean(corpus, root, images=entry.images)
        case AfewCorpus():
            return afew.read_afew(
                corpus, root, table=entry.table, columns=entry.columns, xml_tags=entry.xml_tags
            )
        case Voxceleb2Corpus():
            return voxceleb2.read_voxceleb2(
                corpus,
                root,
                ages=entry.ages,
                age_column=entry.age_column,
                tracks=entry.tracks,
            )
        case BraveMasksCorpus():
            return brave_masks.read_brave_masks(
                corpus, root, table=entry.table, cameras=entry.cameras
            )
        case _:
            assert_never(entry)
