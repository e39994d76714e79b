"""Means of frozen features -> output, by one linear layer for each task: a baseline to beat."""

from typing import ClassVar, Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads.contract import Head, HeadSpec, check_features
from oragen.models.heads.output_layers import OutputLayers
from oragen.models.layers.pooling import mean_of_valid
from oragen.models.output import HeadOutput
from oragen.schema.vocabulary import MODALITY_SETS, Modality, ModalitySet, Task

SMALLEST: Final = 1e-6  # a share of the age scale, so that its logit is finite


class FrozenProbeHead(Head):
    """Linear layers on the features of a window, averaged over frames and over crops.

    There are layers for windows with both modalities, and others for those with one. So what is
    absent needs no value. Of the face the encoder's last layer counts. The age layer gives the
    share of the age scale above its middle. `oragen.training.probes` solves for the weights.
    """

    MIDDLE: ClassVar[float] = 0.5  # of the age scale: what an age layer of zeros predicts

    def __init__(self, spec: HeadSpec, *, modality: Modality | None = None) -> None:
        super().__init__(spec)
        self.modality = modality
        self.decisions = nn.ModuleDict(
            {name: OutputLayers(self._measure(name), spec.sizes) for name in self.modality_sets}
        )

    @property
    def modality_sets(self) -> tuple[ModalitySet, ...]:
        """What it has layers for."""
        return MODALITY_SETS if self.modality is None else (self.modality,)

    def predicts(self, task: Task) -> bool:
        """Return whether it has a layer for a task."""
        return task != "mask_type" or self.spec.sizes.num_mask_types > 0

    def layer(self, modalities: ModalitySet, task: Task) -> nn.Linear:
        """Return the layer of a task that it predicts."""
        layer = self.decisions[modalities].get_submodule(task)
        assert isinstance(layer, nn.Linear)
        return layer

    def find_part(self, modalities: ModalitySet) -> slice:
        """Return where the features of a set of modalities are among the pooled ones."""
        start = self.spec.sizes.audio_width if modalities == "face" else 0
        return slice(start, start + self._measure(modalities))

    def pool(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> Float[Tensor, "batch both_widths"]:
        """Return the mean audio and the mean face, side by side; zeros where there is none."""
        check_features(self.spec.sizes, audio, face, fixed_length=False)
        means = mean_of_valid(audio, audio_valid), mean_of_valid(face[:, :, -1], face_valid)
        return torch.cat(means, dim=-1)

    def decide(
        self, pooled: Float[Tensor, "batch both_widths"], modalities: ModalitySet
    ) -> HeadOutput:
        """Return the output of the layers of a set of modalities."""
        layers = self.decisions[modalities]
        assert isinstance(layers, OutputLayers)
        output = layers.from_one(pooled[:, self.find_part(modalities)])
        share = (self.MIDDLE + output.age_logit).clamp(SMALLEST, 1 - SMALLEST)
        return output._replace(age_logit=torch.logit(share))

    def decide_by_presence(
        self,
        pooled: Float[Tensor, "batch both_widths"],
        has_audio: Bool[Tensor, " batch"],
        has_face: Bool[Tensor, " batch"],
    ) -> HeadOutput:
        """Return for each window the output of the layers for what it has."""
        if self.modality is not None:
            return self.decide(pooled, self.modality)
        both, from_audio, from_face = (self.decide(pooled, name) for name in MODALITY_SETS)
        return _choose(has_audio & has_face, both, _choose(has_face, from_face, from_audio))

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        pooled = self.pool(audio, audio_valid, face, face_valid)
        return self.decide_by_presence(pooled, audio_valid.any(dim=1), face_valid.any(dim=1))

    def _measure(self, modalities: ModalitySet) -> int:
        """Return how wide the pooled features of a set of modalities are."""
        sizes = self.spec.sizes
        return {
            "audio_visual": sizes.audio_width + sizes.face_width,
            "audio": sizes.audio_width,
            "face": sizes.face_width,
        }[modalities]


def _choose(
    first_counts: Bool[Tensor, " batch"], first: HeadOutput, second: HeadOutput
) -> HeadOutput:
    """Return the rows of the first output where it counts, else those of the second."""
    rows = first_counts[:, None]
    mask_type_logits = None
    if first.mask_type_logits is not None and second.mask_type_logits is not None:
        mask_type_logits = torch.where(rows, first.mask_type_logits, second.mask_type_logits)
    return HeadOutput(
        gender_logits=torch.where(rows, first.gender_logits, second.gender_logits),
        age_logit=torch.where(first_counts, first.age_logit, second.age_logit),
        mask_type_logits=mask_type_logits,
    )
