"""All features of one modality -> one vector."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads.contract import HeadSpec
from oragen.models.heads.layer_weights import LayerWeights
from oragen.models.layers.normalization import PerLayerNorm
from oragen.models.layers.pooling import StatisticsPooling
from oragen.models.layers.presence import hide_invalid
from oragen.schema.vocabulary import Modality


class TokenPooling(nn.Module):
    """Project the tokens and pool the valid ones; a row without any becomes zeros."""

    def __init__(self, width_in: int, width: int, *, std_correction: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(width_in, width), nn.GELU(), nn.Dropout(dropout))
        self.pool = StatisticsPooling(std_correction)
        self.merge = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Dropout(dropout))

    def forward(
        self, tokens: Float[Tensor, "batch length width_in"], valid: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch width"]:
        merged = self.merge(self.pool(self.project(tokens), valid))
        return hide_invalid(merged[:, None], valid.any(dim=1, keepdim=True))[:, 0]


class AudioTokenPooling(nn.Module):
    """Audio frames -> one vector."""

    def __init__(
        self, audio_width: int, width: int, *, std_correction: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(audio_width)
        self.summary = TokenPooling(
            audio_width, width, std_correction=std_correction, dropout=dropout
        )

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
    ) -> Float[Tensor, "batch width"]:
        return self.summary(self.norm(hide_invalid(audio, audio_valid)), audio_valid)  # type: ignore[no-any-return]


class FaceTokenPooling(nn.Module):
    """Hidden states of all layers of each crop -> one vector."""

    def __init__(
        self,
        face_layers: int,
        face_width: int,
        width: int,
        *,
        std_correction: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm = PerLayerNorm(face_layers, face_width)
        self.summary = TokenPooling(
            face_layers * face_width, width, std_correction=std_correction, dropout=dropout
        )

    def forward(
        self,
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> Float[Tensor, "batch width"]:
        layers = self.norm(hide_invalid(face, face_valid))
        # batch, slot, layer, width -> batch, slot, layer x width
        return self.summary(layers.flatten(2), face_valid)  # type: ignore[no-any-return]


def build_layer_weights(spec: HeadSpec) -> nn.Module:
    """Build what weighs the layers that lie side by side in the audio; of one it does nothing."""
    return LayerWeights(spec.audio_layers) if spec.audio_layers > 1 else nn.Identity()


def build_pooling(spec: HeadSpec, modality: Modality) -> nn.Module:
    """Build the pooling of one modality, to one vector of the spec's width."""
    sizes = spec.sizes
    if modality == "audio":
        return AudioTokenPooling(
            spec.audio_token_width,
            spec.width,
            std_correction=spec.std_correction,
            dropout=spec.dropout,
        )
    return FaceTokenPooling(
        sizes.face_layers,
        sizes.face_width,
        spec.width,
        std_correction=spec.std_correction,
        dropout=spec.dropout,
    )
