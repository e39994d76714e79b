"""What every unimodal model gives."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from oragen.losses import AGE_SCALE_YEARS


class UnimodalOutput(NamedTuple):
    """The answers for a batch of windows or crops, before softmax and sigmoid."""

    gender_logits: Float[Tensor, "batch genders"]
    age_logit: Float[Tensor, " batch"]
    mask_type_logits: Float[Tensor, "batch mask_types"] | None

    @property
    def age_years(self) -> Float[Tensor, " batch"]:
        """Age from 0 to 100."""
        return AGE_SCALE_YEARS * torch.sigmoid(self.age_logit)
