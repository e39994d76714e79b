"""Clips as files, waveforms or face crops -> predictions of a trained model."""

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
