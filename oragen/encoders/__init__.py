"""Waveforms or face crops -> embeddings, by frozen networks.

An encoder comes from a hub id or from a folder. The small ones, named `embedded`, need neither.
"""

from oragen.encoders.audio import (
    AudioEncoder,
    PublishedInput,
    load_audio_encoder,
    prepare_sounds,
)
from oragen.encoders.errors import EncoderError
from oragen.encoders.face import FaceEncoder, load_face_encoder, prepare_crops
from oragen.encoders.face_input import find_input_px

__all__ = [
    "AudioEncoder",
    "EncoderError",
    "FaceEncoder",
    "PublishedInput",
    "find_input_px",
    "load_audio_encoder",
    "load_face_encoder",
    "prepare_crops",
    "prepare_sounds",
]
