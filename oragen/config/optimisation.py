"""What the sections of all trainings have in common -> how weights are learned."""

from typing import Annotated

from pydantic import Field

from oragen.config.section import Count, NotNegative, Positive, Section


class Optimisation(Section):
    """How weights are learned; each task has a weight in the loss."""

    batch_size: Annotated[int, Field(ge=2)]
    max_epochs: Count
    patience: Count
    learning_rate: Positive
    weight_decay: NotNegative
    gradient_clip: Positive
    balance_classes: bool
    gender_weight: NotNegative
    age_weight: NotNegative
    mask_type_weight: NotNegative
