"""`corpora` of params.yaml -> how each corpus is read."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from oragen.config.messages import ParamsError, explain
from oragen.config.section import Names, NoRepeats, Place, Section, Seed, Words
from oragen.schema.choices.corpora import AgeSource, Condition, Images, SplitRule, Tracks


class _Corpus(Section):
    root: Place
    # Read files that a link in the root leads to elsewhere, as in a cache of DVC or git-annex.
    follow_links: bool = False


class GeneratedCorpus(_Corpus):
    reader: Literal["generated"]
    condition: Condition
    num_speakers: Annotated[int, Field(ge=1, le=100_000)]
    seed: Seed

    @field_validator("root")
    @classmethod
    def _stay_inside(cls, root: Path) -> Path:
        """Refuse to generate outside the project: a params.yaml may come from elsewhere."""
        if root.is_absolute() or ".." in root.parts:
            raise ValueError(
                f"clips are written there, so it must be inside the project (found {str(root)!r})"
            )
        return root


class CsvCorpus(_Corpus):
    reader: Literal["csv"]
    table: Place = Path("labels.csv")
    tables: dict[str, Place] = Field(default_factory=dict)  # instead, one a split
    columns: dict[str, Words] = Field(default_factory=dict)  # our names -> those of the table
    ignored_columns: list[Words] = Field(default_factory=list)  # of the table; not used on purpose
    # Further columns of the table, such as skin_tone, that report.group_by may name.
    group_columns: Annotated[list[Words], Field(max_length=100), NoRepeats] = Field(
        default_factory=list
    )


class TimitCorpus(_Corpus):
    reader: Literal["timit"]


class AgenderCorpus(_Corpus):
    reader: Literal["agender"]
    # Which field of the lists holds what, from 0; and what the headerless files hold.
    columns: dict[str, Annotated[int, Field(ge=0, le=1000)]] = Field(
        default_factory=lambda: {"path": 0, "speaker": 1, "class": 2, "age": 3, "gender": 4}
    )
    sample_format: Literal["s16le", "s16be", "u8", "alaw", "mulaw"] = "s16le"
    rate_hz: Annotated[int, Field(ge=1000, le=384_000)] = 8000


class CommonVoiceCorpus(_Corpus):
    reader: Literal["common_voice"]
    languages: Literal["all"] | Names = "all"
    splits: SplitRule = "official"


class LagendaCorpus(_Corpus):
    reader: Literal["lagenda"]
    annotations: Place = Path("lagenda_annotation.csv")


class ImdbCleanCorpus(_Corpus):
    reader: Literal["imdb_clean"]
    images: Images = "1024"


class AfewCorpus(_Corpus):
    reader: Literal["afew"]
    table: Place = Path("afew_age_gender.csv")
    columns: dict[str, Words] = Field(default_factory=dict)
    xml_tags: dict[str, Words] = Field(default_factory=dict)


class Voxceleb2Corpus(_Corpus):
    reader: Literal["voxceleb2"]
    ages: AgeSource = "enrichment"
    age_column: Words = "speaker_age_title_only"
    tracks: Tracks = "both"


class BraveMasksCorpus(_Corpus):
    reader: Literal["brave_masks"]
    table: Place = Path("index.csv")
    cameras: Names = Field(default_factory=lambda: ["c"])


Corpus = Annotated[
    GeneratedCorpus
    | CsvCorpus
    | TimitCorpus
    | AgenderCorpus
    | CommonVoiceCorpus
    | LagendaCorpus
    | ImdbCleanCorpus
    | AfewCorpus
    | Voxceleb2Corpus
    | BraveMasksCorpus,
    Field(discriminator="reader"),
]


def read_corpus_entry(entry: dict[str, str]) -> Corpus:
    """Check one entry of `corpora` that is not in params.yaml.

    Raises:
        ParamsError: with what is missing.
    """
    try:
        found: Corpus = TypeAdapter(Corpus).validate_python(entry)
    except ValidationError as error:
        raise ParamsError(f"The corpus needs an entry in params.yaml:\n{explain(error)}") from error
    return found
