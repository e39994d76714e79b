"""Logits of a batch -> the one record that every model returns: gender, age, mask type."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from oragen.schema.vocabulary import AGE_SCALE_YEARS


class HeadOutput(NamedTuple):
    """Output for a batch of windows or crops, before softmax and sigmoid."""

    gender_logits: Float[Tensor, "batch genders"]
    age_logit: Float[Tensor, " batch"]
    mask_type_logits: Float[Tensor, "batch mask_types"] | None  # None: not a task of the model

    @property
    def age_years(self) -> Float[Tensor, " batch"]:
        """Age from 0 to 100."""
        return AGE_SCALE_YEARS * torch.sigmoid(self.age_logit)
