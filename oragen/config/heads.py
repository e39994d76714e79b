"""`heads`, `train`, `evaluate`, `report` of params.yaml -> what is trained, scored and compared."""

from typing import Annotated, Final, Literal

from pydantic import Field

from oragen.config.optimisation import Optimisation
from oragen.config.section import Names, NoRepeats, Section, Seed, Share, Words
from oragen.schema.choices.heads import AudioLayerUse, HeadName, MaskTypeTraining
from oragen.schema.choices.sampling import Balanced
from oragen.schema.vocabulary import Level, Precision, Split

COVERAGE: Final = 0.9  # of age intervals and sets of labels
Age = Annotated[int, Field(ge=1, le=120)]


class Head(Section):
    variant: HeadName
    level: Level
    mask_type: MaskTypeTraining
    width: Annotated[int, Field(ge=4, le=4096, multiple_of=4)]  # four attention heads share it
    dropout: Share
    coverage: Annotated[float, Field(ge=0.5, le=0.99)] = COVERAGE
    audio_layers: AudioLayerUse = "joined"


class Train(Optimisation):
    corpora: Literal["all"] | Names
    corpora_of: dict[str, Names]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1000), NoRepeats]
    precision: Precision
    memory_gb: Annotated[float, Field(gt=0, le=100_000)]
    drop_modality: Share
    balance_sampling: Annotated[list[Balanced], NoRepeats]

    @property
    def memory_bytes(self) -> int:
        """Size of the features that are kept in memory."""
        return round(self.memory_gb * 10**9)


class Evaluate(Section):
    corpora: Literal["all"] | Names
    splits: Annotated[list[Split], Field(min_length=1), NoRepeats]


class Report(Section):
    num_resamples: Annotated[int, Field(ge=100, le=100_000)]
    num_examples: Annotated[int, Field(ge=0, le=1000)]
    # The following may be left out, as in files of earlier versions.
    age_thresholds_years: Annotated[list[Age], Field(max_length=20), NoRepeats] = Field(
        default_factory=lambda: [13, 16, 18, 21, 25]
    )
    min_speakers: Annotated[int, Field(ge=1, le=10_000)] = 3
    group_by: Annotated[list[Words], NoRepeats] = Field(default_factory=list)
