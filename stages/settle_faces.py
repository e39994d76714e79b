"""What is on this machine, and the encoders -> what `auto` in `faces` of params.yaml stands for.

`oragen models fetch yunet` lets DVC run this stage again. The others depend on its note, and run
again where that has changed.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from oragen.config import paths
from oragen.config.clips import Faces
from oragen.config.params import Params, load_params
from oragen.config.settled_faces import SettledFaces, find_settled_faces, write_settled_faces
from oragen.detection.detector_choice import WITHOUT_YUNET, choose_detector
from oragen.detection.face_detectors import detector_fingerprint
from oragen.detection.yunet_weights import FETCH, FaceWeightsError
from oragen.schema.choices.encoders import EMBEDDED
from oragen.schema.choices.face_detectors import DetectorName
from oragen.schema.clip_options import MAX_CROP_PX, MIN_CROP_PX
from stages.running import run_stage

logger = logging.getLogger(__name__)

# The embedded encoder takes 64 px. Its crops have been larger from the start, and stores and heads
# with them stay of use.
EMBEDDED_CROP_PX: Final = 96


def main() -> None:
    """Choose the detector and the size of crops where params.yaml leaves it open."""
    params = load_params()
    faces, before = params.faces, find_settled_faces()
    detector = choose_detector(faces.detector, faces.weights)
    refuse_other_faces(faces, detector, before)
    input_px: dict[str, int] = {}
    if faces.crop_px == "auto":
        input_px = find_inputs_px(params, {} if before is None else before.input_px)
        crop_px = max(MIN_CROP_PX, min(MAX_CROP_PX, max(input_px.values())))
    else:
        crop_px = faces.crop_px
    write_settled_faces(
        SettledFaces(
            detector=detector,
            fingerprint=find_fingerprint(faces, detector),
            crop_px=crop_px,
            input_px=input_px,
        )
    )
    lacks_yunet = faces.detector == "auto" and detector == "cascade"
    logger.info(
        "settle_faces: detector %s; crops of %d px%s",
        WITHOUT_YUNET if lacks_yunet else detector, crop_px,
        f", for {', '.join(input_px)}" if input_px else "",
    )  # fmt: skip


def refuse_other_faces(faces: Faces, detector: DetectorName, before: SettledFaces | None) -> None:
    """Refuse to find the faces of YuNet again without it, as on the machine of a colleague.

    Raises:
        FaceWeightsError: names what brings YuNet here, and what does without it.
    """
    if faces.detector != "auto" or detector == "yunet" or before is None:
        return
    if before.detector == "yunet" and before.fingerprint is not None:  # it has found faces
        raise FaceWeightsError(
            f"By {paths.SETTLED_FACES} the faces of this project were found by YuNet, and it is "
            f"not on this machine. Run `{FETCH}`. Or set `faces.detector: cascade` in params.yaml, "
            "to find all faces again without it."
        )


def find_fingerprint(faces: Faces, detector: DetectorName) -> str | None:
    """Return the identity of the detector; None if YuNet is asked for by name and not here.

    Where all boxes are given it is not needed, so `crop_faces` says that it is missing.
    """
    try:
        return detector_fingerprint(detector, weights=faces.weights)
    except FaceWeightsError:
        if faces.detector == "auto":
            raise
        return None


def find_inputs_px(params: Params, known: Mapping[str, int]) -> dict[str, int]:
    """Return the side of the pictures of each face encoder that is fine-tuned or used.

    Args:
        params: with the encoders.
        known: of an earlier run; what is on the hub is not asked for again.
    """
    catalogue = params.encoders.catalogue
    finetuned = [name for name in params.encoders.finetune if catalogue[name].modality == "face"]
    entries = [
        catalogue[name] for name in dict.fromkeys([*finetuned, params.features.face.encoder])
    ]
    return {
        name_source(entry.source, entry.revision): find_px(entry.source, entry.revision, known)
        for entry in entries
    }


def name_source(source: str, revision: str | None) -> str:
    """Return the name of an encoder in the note."""
    return f"{source}@{revision}" if revision else source


def find_px(source: str, revision: str | None, known: Mapping[str, int]) -> int:
    """Return the side of the pictures that an encoder takes; the embedded one loads no library."""
    if source == EMBEDDED:
        return EMBEDDED_CROP_PX
    name = name_source(source, revision)
    if name in known and not Path(source).is_dir():
        return known[name]
    from oragen.encoders import find_input_px

    return find_input_px(source, revision)


if __name__ == "__main__":
    run_stage(main)
