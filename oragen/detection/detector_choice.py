"""The detector that is asked for, and the weights that are here -> the detector that is used."""

from pathlib import Path
from typing import Final

from oragen.detection.yunet_weights import FETCH, find_kept_yunet
from oragen.schema.choices.face_detectors import DetectorChoice, DetectorName

WITHOUT_YUNET: Final = f"cascade: YuNet finds more faces, and is not here; `{FETCH}` gets it"


def choose_detector(choice: DetectorChoice, weights: Path | None = None) -> DetectorName:
    """Return the detector that `auto` stands for; another choice as it is.

    `auto` is YuNet where weights are named or kept, else the cascade. Named weights that are
    missing are an error when the detector is built: the cascade would not be what was meant.

    Args:
        choice: of the user or of a model.
        weights: of YuNet, if they are named.

    Raises:
        FaceWeightsError: the kept weights are not YuNet as it was published.
    """
    if choice != "auto":
        return choice
    return "yunet" if weights is not None or find_kept_yunet() is not None else "cascade"
