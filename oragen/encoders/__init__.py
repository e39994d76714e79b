"""Waveforms or face crops -> embeddings, by frozen networks.

An encoder comes from a hub id or from a folder. The small ones, named `embedded`, need neither.
"""

from oragen.encoders.audio import AudioEncoder
from oragen.encoders.audio_loading import load_any_audio_encoder, load_audio_encoder
from oragen.encoders.errors import EncoderError
from oragen.encoders.face import (
    FaceEncoder,
    load_any_face_encoder,
    load_face_encoder,
    prepare_crops,
)
from oragen.encoders.face_input import find_input_px
from oragen.encoders.off_the_shelf import OffTheShelfEncoder
from oragen.encoders.sounds import PublishedInput, prepare_sounds
from oragen.encoders.speaker import SpeakerEncoder

__all__ = [
    "AudioEncoder",
    "EncoderError",
    "FaceEncoder",
    "OffTheShelfEncoder",
    "PublishedInput",
    "SpeakerEncoder",
    "find_input_px",
    "load_any_audio_encoder",
    "load_any_face_encoder",
    "load_audio_encoder",
    "load_face_encoder",
    "prepare_crops",
    "prepare_sounds",
]
