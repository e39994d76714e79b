"""Face crops -> gender, age and mask type of who is seen."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from oragen.models.output import HeadOutput
from oragen.models.unimodal.face_pooling import GatedPooling, SelfAttentionPooling
from oragen.models.unimodal.output_layers import OutputLayers
from oragen.models.unimodal.timm_vit import TimmVit


class UnimodalFaceModel(nn.Module):
    """A vision transformer, a summary of the CLS rows of its hidden states, and decisions.

    The encoder may be any that returns all its hidden states, the CLS row first in each.
    """

    def __init__(
        self,
        encoder: PreTrainedModel | TimmVit,
        summary: SelfAttentionPooling | GatedPooling,
        decisions: OutputLayers,
    ) -> None:
        super().__init__()
        self.encoder: PreTrainedModel | TimmVit = encoder
        self.summary = summary
        self.decisions = decisions

    def forward(self, images: Float[Tensor, "batch 3 image_height image_width"]) -> HeadOutput:
        answers: HeadOutput = self.decisions(self.late(images))
        return answers

    def early(
        self, images: Float[Tensor, "batch 3 image_height image_width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the embeddings that enter the first layer: CLS, then the patches."""
        return self._hidden_states(images)[0]

    def intermediate(
        self, images: Float[Tensor, "batch 3 image_height image_width"]
    ) -> Float[Tensor, "batch layers width"]:
        """Return the CLS rows of the embeddings and of every layer, before the last norm."""
        return torch.stack([states[:, 0] for states in self._hidden_states(images)], dim=1)

    def late(
        self, images: Float[Tensor, "batch 3 image_height image_width"]
    ) -> Float[Tensor, "batch summary_width"]:
        """Return the vector from which the answers are decided."""
        return self.summary(self.intermediate(images))  # type: ignore[no-any-return]

    def _hidden_states(self, images: Tensor) -> tuple[Tensor, ...]:
        states: tuple[Tensor, ...] = self.encoder(images, output_hidden_states=True).hidden_states
        return states
