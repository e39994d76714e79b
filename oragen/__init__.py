"""Clips of a speaking person -> gender, age and mask type, from voice and face."""

import logging
import os
import sys
from typing import TYPE_CHECKING, Final

# What libraries read once, when they are loaded, or when a process is started: set before them.
SILENT: Final = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: a device id in the home folder, sent to its maker
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",  # transformers asks the hub to convert what was loaded
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
if "onnxruntime" in sys.modules and os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
    logging.getLogger(__name__).warning(
        "onnxruntime was loaded before oragen, and its telemetry is on. Import oragen first, or "
        "set ORT_DISABLE_TELEMETRY=1."
    )
os.environ.update(SILENT)

if TYPE_CHECKING:
    from oragen.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]


def __getattr__(name: str) -> object:
    """Import the predictor only when it is used: the import takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from oragen import predictor

    return getattr(predictor, name)
