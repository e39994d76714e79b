"""Probabilities of the off-the-shelf networks -> output: nothing of it is trained."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads.contract import Head, HeadSpec, check_features
from oragen.models.off_the_shelf import YOUNGEST_YEARS
from oragen.models.output import HeadOutput
from oragen.schema.vocabulary import AGE_SCALE_YEARS, Modality

SMALLEST: Final = 1e-6  # a probability, so that its logarithm is finite


class OffTheShelfHead(Head):
    """The mean over the valid crops of what the networks say of each; audio is ignored.

    The features are of level `late` of the source `off-the-shelf`: for each crop the probability of
    each age, and then of each gender. The age is the expected one, as the package computes it.
    """

    modality: Modality = "face"

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        num_ages = spec.sizes.face_width - spec.sizes.num_genders
        if num_ages < 2 or spec.sizes.num_mask_types:
            raise ValueError(
                "the head off_the_shelf needs features of level `late` of the source "
                f"off-the-shelf, and knows no mask types; found {spec.sizes}"
            )
        years = torch.arange(num_ages).float()
        years[0] = YOUNGEST_YEARS
        self.years = nn.Parameter(years, requires_grad=False)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=False)
        shown = torch.where(face_valid[..., None, None], face, 0).clamp(min=0)
        num_crops = face_valid.sum(dim=1, keepdim=True).clamp(min=1)
        means = shown.mean(dim=2).sum(dim=1) / num_crops  # to batch, width
        ages, genders = means.split([len(self.years), self.spec.sizes.num_genders], dim=-1)
        expected = (ages @ self.years) / ages.sum(dim=-1).clamp(min=SMALLEST)
        share = (expected / AGE_SCALE_YEARS).clamp(SMALLEST, 1 - SMALLEST)
        return HeadOutput(
            gender_logits=genders.clamp(min=SMALLEST).log(),
            age_logit=torch.logit(share),
            mask_type_logits=None,
        )
