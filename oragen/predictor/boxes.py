"""A JSON file of places of faces, by a detector of the user's -> the boxes of each clip."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from oragen.detection.faces import KnownBoxes
from oragen.schema.errors import UserError
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object

_Edge = Annotated[float, Field(ge=-(2**20), le=2**20, allow_inf_nan=False)]
_FORM: Final = TypeAdapter(dict[str, list[tuple[_Edge, _Edge, _Edge, _Edge] | None]])
_SHAPE: Final = '{"clip.mp4": [[x1, y1, x2, y2], null, ...], ...}'


def read_boxes(path: Path) -> dict[str, KnownBoxes]:
    """Read the place of the face in each second of clips, by the names of their files.

    An entry a second: null where there is no face, or x1, y1, x2, y2 in pixels of the upright
    picture.

    Raises:
        UserError: the file cannot be read, or is not of this form; names the first wrong place.
    """
    try:
        with path.open("rb") as file:
            boxes: dict[str, KnownBoxes] = dict(
                _FORM.validate_python(parse_object(file.read(MAX_BYTES + 1)))
            )
    except (OSError, JsonError) as error:
        raise UserError(f"{path} cannot be read: {error}. Expected {_SHAPE}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][:2])) or "the file"
        raise UserError(
            f"{path}: {place} is no list of boxes ({first['msg']}). Expected {_SHAPE}, an entry "
            "for each second, in pixels of the upright picture."
        ) from error
    for name, entries in boxes.items():
        for second, box in enumerate(entries):
            if box is not None and not (box[0] < box[2] and box[1] < box[3]):
                raise UserError(
                    f"{path}: the box of {name} at second {second} is empty: {list(box)}. Expected "
                    "x1 < x2 and y1 < y2; write null where there is no face."
                )
    return boxes
