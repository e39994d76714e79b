"""Clips as files, waveforms or face crops -> predictions of a trained model."""

from oragen.models.places import ModelError
from oragen.predictor.clip_inputs import FaceBox
from oragen.predictor.prediction import (
    AgePrediction,
    ClassPrediction,
    ModalityReport,
    Prediction,
    WindowPrediction,
)
from oragen.predictor.predictor import Predictor

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
