"""Frozen pretrained networks: waveforms or face crops -> embeddings.

An encoder comes from a hub id, from a folder, or - as `embedded` - small, with designed weights.
"""

from oragen.encoders.audio import AudioEncoder, load_audio_encoder
from oragen.encoders.face import FaceEncoder, load_face_encoder
from oragen.encoders.source import EncoderError, fingerprint

__all__ = [
    "AudioEncoder",
    "EncoderError",
    "FaceEncoder",
    "fingerprint",
    "load_audio_encoder",
    "load_face_encoder",
]
