"""Face crops -> gender, age and mask type of the person."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from oragen.models.output import HeadOutput
from oragen.models.unimodal.face_pooling import GatedPooling, SelfAttentionPooling
from oragen.models.unimodal.output_layers import OutputLayers
from oragen.models.unimodal.timm_vit import TimmVit


class UnimodalFaceModel(nn.Module):
    """A vision transformer, pooling of the CLS rows of its hidden states, and output layers.

    Any encoder will do that returns all its hidden states, with the CLS row first in each.
    """

    def __init__(
        self,
        encoder: PreTrainedModel | TimmVit,
        pooling: SelfAttentionPooling | GatedPooling,
        output_layers: OutputLayers,
    ) -> None:
        super().__init__()
        self.encoder: PreTrainedModel | TimmVit = encoder
        self.summary = pooling  # both are names in saved files, see `state_dict`
        self.decisions = output_layers

    def forward(self, images: Float[Tensor, "batch 3 image_height image_width"]) -> HeadOutput:
        output: HeadOutput = self.decisions(self.late(images))
        return output

    def early(
        self, images: Float[Tensor, "batch 3 image_height image_width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the embeddings that enter the first layer: CLS, then the patches."""
        return self._hidden_states(images)[0]

    def intermediate(
        self, images: Float[Tensor, "batch 3 image_height image_width"]
    ) -> Float[Tensor, "batch layers width"]:
        """Return the CLS rows of the embeddings and of every layer, before the last norm."""
        # of each layer: batch, token, width -> batch, layer, width
        return torch.stack([states[:, 0] for states in self._hidden_states(images)], dim=1)

    def late(
        self, images: Float[Tensor, "batch 3 image_height image_width"]
    ) -> Float[Tensor, "batch pooled_width"]:
        """Return the pooled vector, the input of the output layers."""
        return self.summary(self.intermediate(images))  # type: ignore[no-any-return]

    def _hidden_states(self, images: Tensor) -> tuple[Tensor, ...]:
        states: tuple[Tensor, ...] = self.encoder(images, output_hidden_states=True).hidden_states
        return states
