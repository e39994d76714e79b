"""Frozen pretrained networks: waveforms or face crops -> embeddings.

An encoder comes from a hub id, from a folder, or - as `embedded` - small, with designed weights.
"""

from oragen.encoders.audio import (
    AudioEncoder,
    PublishedInput,
    load_audio_encoder,
    prepare_sounds,
)
from oragen.encoders.face import FaceEncoder, load_face_encoder, prepare_crops
from oragen.encoders.source import EncoderError

__all__ = [
    "AudioEncoder",
    "EncoderError",
    "FaceEncoder",
    "PublishedInput",
    "load_audio_encoder",
    "load_face_encoder",
    "prepare_crops",
    "prepare_sounds",
]
