"""A row of a table of faces -> one face: its box in the image, its age and gender.

Two public forms are read: the annotations of MiVOLO (for LAGENDA and IMDB-Clean), where -1 means
missing and ages may be ranges, and the tables of IMDB-Clean.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from oragen.corpora.tables import Line, read_table
from oragen.corpora.words import GENDER_WORDS, Age, look_up, to_number

MISSING: Final = frozenset({"", "-1", "-1.0"})
FACE_COLUMNS: Final = ("face_x0", "face_y0", "face_x1", "face_y1")
PERSON_COLUMNS: Final = ("person_x0", "person_y0", "person_x1", "person_y1")
MIVOLO_COLUMNS: Final = ("img_name", "age", "gender", *FACE_COLUMNS)
FACE_GENDER_WORDS: Final[Mapping[str, str | None]] = GENDER_WORDS | dict.fromkeys(MISSING)

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the image


class Face(NamedTuple):
    """One face of a row; `place` tells the faces of one image apart."""

    image: str
    place: str
    box: Box | None
    gender: str | None
    age: Age
    problems: list[str]

    @property
    def is_labelled(self) -> bool:
        """Return whether the row has a label, even one that cannot be read."""
        return bool(self.gender or self.age.years is not None or self.problems)


def read_mivolo_table(corpus: str, path: Path) -> Iterator[Face]:
    """Yield the faces of an annotation file of MiVOLO, one at a time, in its order.

    Raises:
        CorpusError: the file is missing, is no table, or lacks a column.
    """
    yield from map(_to_face, read_table(corpus, path, all_of=MIVOLO_COLUMNS))


def _to_face(line: Line) -> Face:
    return read_face(
        line["img_name"],
        line_problems=line.problems,
        age=line["age"],
        gender=line["gender"],
        corners=[line[name] for name in FACE_COLUMNS],
        person_corners=[line[name] for name in PERSON_COLUMNS],
    )


def read_face(
    image: str,
    *,
    age: str,
    gender: str,
    corners: Sequence[str],
    person_corners: Sequence[str] = (),
    line_problems: Sequence[str] = (),
) -> Face:
    """Read the fields of a row.

    Args:
        image: the name of the image in the table.
        age: years, or `lowest;highest`.
        gender: a letter or a word.
        corners: x1, y1, x2, y2 of the face.
        person_corners: of the whole person; they tell persons without a face apart.
        line_problems: of the whole row.
    """
    problems = [*line_problems]
    return Face(
        image=image,
        place=_name_place(corners, person_corners),
        gender=look_up("gender", gender, FACE_GENDER_WORDS, problems),
        age=read_age(age, problems),
        box=read_box(corners, problems),
        problems=problems,
    )


def _name_place(corners: Sequence[str], person_corners: Sequence[str]) -> str:
    if not MISSING.issuperset(corners):
        return "_".join(corners)
    if not MISSING.issuperset(person_corners):
        return "_".join(["person", *person_corners])
    return "nowhere"


def read_age(text: str, problems: list[str]) -> Age:
    """Read years or `lowest;highest`; any other text adds a line to `problems`."""
    if text in MISSING:
        return Age()
    if ";" not in text:
        return Age(to_number("age", text, problems))
    low, high = (to_number("age", end, problems) for end in text.split(";", maxsplit=1))
    if low is None or high is None or not low <= high:
        problems.append(f"age is no range: {text}")
        return Age()
    return Age((low + high) / 2, low, high)


def read_box(corners: Sequence[str], problems: list[str]) -> Box | None:
    """Read x1, y1, x2, y2; a box without an area or with a missing corner adds to `problems`.

    A box may reach beyond the image: with one corner at -1 it is such a box, and not missing.
    """
    if MISSING.issuperset(corners):
        return None
    try:
        x1, y1, x2, y2 = map(float, corners)
    except ValueError:
        x1 = y1 = x2 = y2 = math.nan
    if not (-math.inf < x1 < x2 < math.inf and -math.inf < y1 < y2 < math.inf):
        problems.append(f"no box: {','.join(corners)}")
        return None
    return x1, y1, x2, y2
