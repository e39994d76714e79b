"""What the sections of all trainings have in common -> how weights are learned."""

from typing import Annotated

from pydantic import Field, model_validator

from oragen.config.section import BatchSize, NotNegative, Section

Epochs = Annotated[int, Field(ge=1, le=100_000)]


class Optimisation(Section):
    """How weights are learned; each task has a weight in the loss."""

    batch_size: Annotated[BatchSize, Field(ge=2)]
    max_epochs: Epochs
    patience: Epochs
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    weight_decay: NotNegative
    gradient_clip: Annotated[float, Field(gt=0, le=1e9)]
    balance_classes: bool
    gender_weight: NotNegative
    age_weight: NotNegative
    mask_type_weight: NotNegative

    @model_validator(mode="after")
    def _check_weights(self) -> "Optimisation":
        if not (self.gender_weight or self.age_weight or self.mask_type_weight):
            raise ValueError(
                "gender_weight, age_weight and mask_type_weight are all 0, so that nothing would "
                "be learned. Give at least one task a weight above 0"
            )
        return self
