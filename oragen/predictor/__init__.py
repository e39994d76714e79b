"""Ask a trained model about clips: files, waveforms, crops of faces."""

from oragen.predictor.clip_inputs import FaceBox
from oragen.predictor.prediction import (
    AgePrediction,
    ClassPrediction,
    ModalityReport,
    Prediction,
    WindowPrediction,
)
from oragen.predictor.predictor import Predictor
from oragen.predictor.pretrained import ModelError

__all__ = [
    "AgePrediction",
    "ClassPrediction",
    "FaceBox",
    "ModalityReport",
    "ModelError",
    "Prediction",
    "Predictor",
    "WindowPrediction",
]
