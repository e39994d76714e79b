"""Checkpoints of the published models -> our modules, or folders of ours.

The models are those of markitantov/ORAGEN (`orig`) and of chimera_ml (`chimera`), by their
published names. The released weights are those of `chimera`.
"""

from oragen.models.published.converting import Origin, convert_checkpoint, read_encoder_config
from oragen.models.published.models import PublishedFusion, build, waveform_order
from oragen.models.published.recognition import recognise

__all__ = [
    "Origin",
    "PublishedFusion",
    "build",
    "convert_checkpoint",
    "read_encoder_config",
    "recognise",
    "waveform_order",
]
