"""The configs of a face encoder -> the side of the pictures it takes; no weights are loaded."""

import json
from pathlib import Path
from typing import Final

from oragen.encoders.embedded_face import IMAGE_PX
from oragen.encoders.errors import EncoderError
from oragen.encoders.face import load_processor
from oragen.encoders.timm_names import is_timm
from oragen.models.folder import DESCRIPTION_FILE, Kind, read_description
from oragen.models.off_the_shelf import CROP_PX
from oragen.models.unimodal.input import PictureInput, check_input
from oragen.schema.choices.encoders import EMBEDDED, OFF_THE_SHELF

KINDS: Final[tuple[Kind, ...]] = ("unimodal_face",)
SIDES: Final = ("height", "width", "shortest_edge")  # of an image processor of transformers


def find_input_px(source: str, revision: str | None = None) -> int:
    """Return the longer side in pixels of the pictures that `load_any_face_encoder` would encode.

    Args:
        source: as `load_any_face_encoder` takes it. Of the hub the configs are fetched, if need be.
        revision: of a repository on the hub.

    Raises:
        EncoderError: the configs are missing, or do not say it.
    """
    if source == EMBEDDED:
        return IMAGE_PX
    if source == OFF_THE_SHELF:
        return CROP_PX
    if (Path(source) / DESCRIPTION_FILE).is_file():
        metadata = read_description(Path(source), KINDS)["metadata"]
        if "input" in metadata:
            found: int = check_input(Path(source), PictureInput, metadata).image_px
            return found
    elif is_timm(source):
        from oragen.encoders.timm_source import find_timm_px  # importing timm takes a second

        return find_timm_px(source, revision)
    return _find_processed_px(source, revision)


def _find_processed_px(source: str, revision: str | None) -> int:
    size = json.loads(load_processor(source, revision).to_json_string()).get("size") or {}
    sides: list[int] = [size[name] for name in SIDES if size.get(name)]
    if not sides:
        raise EncoderError(
            f"Encoder {source!r} does not say the size of its pictures in {', '.join(SIDES)}. "
            "Set `faces.crop_px` in params.yaml to a number of pixels."
        )
    return max(sides)
