"""Small neural pieces the heads are made of; each knows sizes as ints and nothing of the task."""

from oragen.layers.attention import MultiHeadAttention
from oragen.layers.cross_modal import CrossModalAttention
from oragen.layers.normalization import PerLayerNorm
from oragen.layers.pooling import StatisticsPooling
from oragen.layers.positions import sinusoidal_positions
from oragen.layers.presence import drop_modality, hide_invalid, repeat_last_valid
from oragen.layers.resampling import TokenResampling

__all__ = [
    "CrossModalAttention",
    "MultiHeadAttention",
    "PerLayerNorm",
    "StatisticsPooling",
    "TokenResampling",
    "drop_modality",
    "hide_invalid",
    "repeat_last_valid",
    "sinusoidal_positions",
]
