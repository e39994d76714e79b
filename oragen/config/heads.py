"""`heads`, `train`, `evaluate`, `report` of params.yaml -> what is trained, scored and compared."""

from typing import Annotated, Literal

from pydantic import Field

from oragen.config.optimisation import Optimisation
from oragen.config.section import Names, NoRepeats, Positive, Section, Share
from oragen.schema.choices.heads import HeadName, MaskTypeTraining
from oragen.schema.choices.sampling import Balanced
from oragen.schema.vocabulary import Level, Precision, Split


class Head(Section):
    variant: HeadName
    level: Level
    mask_type: MaskTypeTraining
    width: Annotated[int, Field(ge=4, multiple_of=4)]  # four attention heads share it
    dropout: Share


class Train(Optimisation):
    corpora: Literal["all"] | Names
    corpora_of: dict[str, Names]
    seeds: Annotated[list[int], Field(min_length=1), NoRepeats]
    precision: Precision
    memory_gb: Positive
    drop_modality: Share
    balance_sampling: Annotated[list[Balanced], NoRepeats]

    @property
    def memory_bytes(self) -> int:
        """Size of the features that are kept in memory."""
        return round(self.memory_gb * 10**9)


class Evaluate(Section):
    corpora: Literal["all"] | Names
    splits: Annotated[list[Split], Field(min_length=1)]


class Report(Section):
    num_resamples: Annotated[int, Field(ge=100)]
    num_examples: Annotated[int, Field(ge=0)]
