"""Waveforms or crops -> gender, age and mask type: an encoder with pooling and output layers.

Encoders are fine-tuned as such models, and the published models of one modality are such models.
"""

from oragen.models.unimodal.audio import UnimodalAudioModel
from oragen.models.unimodal.build import build_audio_model, build_face_model
from oragen.models.unimodal.checkpoint import outline_checkpoint, read_checkpoint, strip_prefixes
from oragen.models.unimodal.face import UnimodalFaceModel
from oragen.models.unimodal.images import prepare_images
from oragen.models.unimodal.published import build_published_model
from oragen.models.unimodal.published_configs import PublishedSource, infer_config
from oragen.models.unimodal.published_names import PUBLISHED
from oragen.models.unimodal.storage import (
    SavedUnimodal,
    UnimodalModel,
    holds_unimodal,
    load_unimodal,
    save_unimodal,
)
from oragen.models.unimodal.waveforms import Waveforms, prepare_waveforms

__all__ = [
    "PUBLISHED",
    "PublishedSource",
    "SavedUnimodal",
    "UnimodalAudioModel",
    "UnimodalFaceModel",
    "UnimodalModel",
    "Waveforms",
    "build_audio_model",
    "build_face_model",
    "build_published_model",
    "holds_unimodal",
    "infer_config",
    "load_unimodal",
    "outline_checkpoint",
    "prepare_images",
    "prepare_waveforms",
    "read_checkpoint",
    "save_unimodal",
    "strip_prefixes",
]
