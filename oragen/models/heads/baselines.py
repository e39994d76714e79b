"""Cached features -> output of the baselines: one modality, concatenation, late fusion."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads.contract import Head, HeadSpec, check_features
from oragen.models.heads.output_layers import OutputLayers
from oragen.models.heads.token_pooling import build_layer_weights, build_pooling
from oragen.models.output import HeadOutput
from oragen.schema.vocabulary import Modality


class UnimodalHead(Head):
    """Predicts from one modality and ignores the other."""

    def __init__(self, spec: HeadSpec, *, modality: Modality) -> None:
        super().__init__(spec)
        self.modality: Modality = modality
        self.layer_weights = build_layer_weights(spec) if modality == "audio" else nn.Identity()
        self.summary = build_pooling(spec, modality)
        self.decisions = OutputLayers(spec.width, spec.sizes)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=False)
        pooled = (
            self.summary(self.layer_weights(audio), audio_valid)
            if self.modality == "audio"
            else self.summary(face, face_valid)
        )
        return self.decisions.from_one(pooled)


class ConcatenationHead(Head):
    """Predicts from the pooled features of both modalities, side by side."""

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        self.layer_weights = build_layer_weights(spec)
        self.audio_summary = build_pooling(spec, "audio")
        self.face_summary = build_pooling(spec, "face")
        self.merge = nn.Sequential(
            nn.Linear(2 * spec.width, spec.width), nn.GELU(), nn.Dropout(spec.dropout)
        )
        self.decisions = OutputLayers(spec.width, spec.sizes)

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        check_features(self.spec.sizes, audio, face, fixed_length=False)
        audio = self.layer_weights(audio)
        pooled = [self.audio_summary(audio, audio_valid), self.face_summary(face, face_valid)]
        return self.decisions.from_one(self.merge(torch.cat(pooled, dim=-1)))


class LateFusionHead(Head):
    """Mean of the probabilities (and of the ages) of the modalities that are present."""

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        self.audio_head = UnimodalHead(spec, modality="audio")
        self.face_head = UnimodalHead(spec, modality="face")

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput:
        of_audio: HeadOutput = self.audio_head(audio, audio_valid, face, face_valid)
        of_face: HeadOutput = self.face_head(audio, audio_valid, face, face_valid)
        log_weights = _log_weights(audio_valid.any(dim=1), face_valid.any(dim=1))
        return HeadOutput(
            gender_logits=_mean_softmax(of_audio.gender_logits, of_face.gender_logits, log_weights),
            age_logit=_mean_sigmoid(of_audio.age_logit, of_face.age_logit, log_weights),
            mask_type_logits=None
            if of_audio.mask_type_logits is None or of_face.mask_type_logits is None
            else _mean_softmax(of_audio.mask_type_logits, of_face.mask_type_logits, log_weights),
        )


def _log_weights(
    audio_present: Bool[Tensor, " batch"], face_present: Bool[Tensor, " batch"]
) -> Float[Tensor, "2 batch"]:
    """Logarithm of each modality's weight; where both are absent, both count."""
    present = torch.stack([audio_present, face_present])  # modality, batch
    present = present | ~present.any(dim=0)
    return (present / present.sum(dim=0)).log()


def _mean_softmax(
    audio: Float[Tensor, "batch classes"],
    face: Float[Tensor, "batch classes"],
    log_weights: Float[Tensor, "2 batch"],
) -> Float[Tensor, "batch classes"]:
    """Logarithm of the mean probabilities, which are logits again."""
    # modality, batch, classes -> batch, classes
    log_shares = F.log_softmax(torch.stack([audio, face]), dim=-1) + log_weights[..., None]
    return log_shares.logsumexp(dim=0)


def _mean_sigmoid(
    audio: Float[Tensor, " batch"],
    face: Float[Tensor, " batch"],
    log_weights: Float[Tensor, "2 batch"],
) -> Float[Tensor, " batch"]:
    """Logit of the mean of the sigmoids."""
    logits = torch.stack([audio, face])  # modality, batch
    above = (F.logsigmoid(logits) + log_weights).logsumexp(dim=0)
    below = (F.logsigmoid(-logits) + log_weights).logsumexp(dim=0)
    return above - below
