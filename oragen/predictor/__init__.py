"""Ask a trained model about clips: files, waveforms, crops of faces."""

from oragen.predictor.material import FaceBox
from oragen.predictor.prediction import (
    AgeAnswer,
    ClassAnswer,
    ModalityReport,
    Prediction,
    WindowAnswer,
)
from oragen.predictor.predictor import Predictor
from oragen.predictor.pretrained import ModelError

__all__ = [
    "AgeAnswer",
    "ClassAnswer",
    "FaceBox",
    "ModalityReport",
    "ModelError",
    "Prediction",
    "Predictor",
    "WindowAnswer",
]
