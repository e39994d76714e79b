"""Voice alone or face alone -> gender, age and mask type: encoders with decisions on them.

These are what encoders are fine-tuned as, and the published models that features came from.
"""

from oragen.unimodal.audio import UnimodalAudioModel
from oragen.unimodal.build import (
    AudioSummaryName,
    FaceSummaryName,
    build_audio_model,
    build_face_model,
)
from oragen.unimodal.checkpoint import read_checkpoint, strip_prefixes
from oragen.unimodal.contract import UnimodalOutput
from oragen.unimodal.face import UnimodalFaceModel
from oragen.unimodal.images import prepare_images
from oragen.unimodal.published import build_published_model
from oragen.unimodal.published_configs import PublishedSource, infer_config
from oragen.unimodal.published_names import PUBLISHED
from oragen.unimodal.storage import (
    SavedUnimodal,
    UnimodalModel,
    holds_unimodal,
    load_unimodal,
    save_unimodal,
)
from oragen.unimodal.waveforms import Waveforms, prepare_waveforms

__all__ = [
    "PUBLISHED",
    "AudioSummaryName",
    "FaceSummaryName",
    "PublishedSource",
    "SavedUnimodal",
    "UnimodalAudioModel",
    "UnimodalFaceModel",
    "UnimodalModel",
    "UnimodalOutput",
    "Waveforms",
    "build_audio_model",
    "build_face_model",
    "build_published_model",
    "holds_unimodal",
    "infer_config",
    "load_unimodal",
    "prepare_images",
    "prepare_waveforms",
    "read_checkpoint",
    "save_unimodal",
    "strip_prefixes",
]
