"""`faces` of params.yaml and the note of what its `auto` stands for -> how faces are cropped."""

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from oragen.config import paths
from oragen.config.clips import Faces
from oragen.config.section import Section
from oragen.schema.choices.face_detectors import DetectorName
from oragen.schema.clip_options import CropSide
from oragen.schema.errors import UserError
from oragen.schema.files import write_text

MAX_NOTE_BYTES: Final = 1_000_000
SETTLE: Final = "dvc repro settle_faces"


class SettledFaces(Section):
    """What is used on this machine, as the stage `settle_faces` notes it."""

    detector: DetectorName
    fingerprint: str | None  # of the detector; None where YuNet is named and not here, or has come
    crop_px: CropSide
    input_px: dict[str, int]  # source of a face encoder -> the side of the pictures it takes


class UnsettledError(UserError):
    """`auto` in `faces` of params.yaml, and no note of what it stands for."""


def write_settled_faces(settled: SettledFaces, path: Path = paths.SETTLED_FACES) -> None:
    """Write the note; the same choice gives the same bytes."""
    write_text(path, json.dumps(settled.model_dump(mode="json"), indent=2) + "\n")


def find_settled_faces(path: Path = paths.SETTLED_FACES) -> SettledFaces | None:
    """Read the note; None if there is none.

    Raises:
        UnsettledError: it is damaged.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        content = file.read(MAX_NOTE_BYTES)
    try:
        return SettledFaces.model_validate_json(content)
    except ValidationError as error:
        raise UnsettledError(
            f"{path} does not say how faces are cropped: it is damaged. Remove it and run "
            f"`{SETTLE}`."
        ) from error


def unsettle(path: Path = paths.SETTLED_FACES) -> bool:
    """Let the stage run again if its note says that YuNet was not here; return whether it will.

    DVC runs a stage whose output is not as the stage has left it.
    """
    noted = find_settled_faces(path)
    if noted is None or noted.detector != "cascade":
        return False
    write_settled_faces(noted.model_copy(update={"fingerprint": None}), path)
    return True


def settle(faces: Faces, path: Path = paths.SETTLED_FACES) -> Faces:
    """Return how faces are cropped here, with nothing `auto` in it.

    Raises:
        UnsettledError: there is something `auto`, and no note of what it stands for.
    """
    if faces.is_settled:
        return faces
    noted = find_settled_faces(path)
    if noted is None:
        raise UnsettledError(
            f"params.yaml has `auto` in `faces`, and there is no {path} that says what it stands "
            f"for. Run `{SETTLE}`."
        )
    return faces.settle(
        noted.detector if faces.detector == "auto" else faces.detector,
        noted.crop_px if faces.crop_px == "auto" else faces.crop_px,
    )
