"""Tensors -> tensors: small layers of heads and unimodal models; they know sizes, not tasks."""

from oragen.models.layers.attention import MultiHeadAttention
from oragen.models.layers.cross_modal import CrossModalAttention
from oragen.models.layers.embeddings import draw_embeddings
from oragen.models.layers.normalization import PerLayerNorm
from oragen.models.layers.pooling import StatisticsPooling
from oragen.models.layers.positions import sinusoidal_positions
from oragen.models.layers.presence import drop_modality, hide_invalid, repeat_last_valid
from oragen.models.layers.resampling import TokenResampling

__all__ = [
    "CrossModalAttention",
    "MultiHeadAttention",
    "PerLayerNorm",
    "StatisticsPooling",
    "TokenResampling",
    "draw_embeddings",
    "drop_modality",
    "hide_invalid",
    "repeat_last_valid",
    "sinusoidal_positions",
]
