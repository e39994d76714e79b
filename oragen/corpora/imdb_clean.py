"""IMDB-Clean's tables, or MiVOLO's of the same images -> a record for each face.

Photographs of actors from IMDB-WIKI with cleaned ages: the year of the photograph minus the year of
birth. The tables are at github.com/yiminglin-ai/imdb-clean; its script downloads the images and
makes crops of at most 1024 pixels. MiVOLO (github.com/WildChlamydia/MiVOLO) has its own tables of
the same images, with boxes of persons beside those of faces.

Expected, not verified: 183 886 faces for training, 45 971 for validation, 56 086 for the test, no
person in two of them. Some rows have no gender. Ages outside 1..100 are skipped. Some JPEG files
are cut short, some are grey, and a box may reach beyond its image.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.face_tables import Face, read_face, read_mivolo_table
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.tables import read_table
from oragen.schema.choices.corpora import Images

logger = logging.getLogger(__name__)


SPLITS: Final = {"train": "train", "valid": "dev", "test": "test"}
MIN_AGE_YEARS: Final = 1
MAX_AGE_YEARS: Final = 100
_AGE_PROBLEM: Final = f"age outside {MIN_AGE_YEARS}..{MAX_AGE_YEARS}"
COLUMNS: Final = ("filename", "age", "gender", "x_min", "y_min", "x_max", "y_max")
OTHER_NAMES: Final = {"path": "filename"}  # in a copy on Kaggle
# The first existing one holds the images; the copy on Kaggle has one folder too many.
IMAGE_FOLDERS: Final[dict[Images, Sequence[str]]] = {
    "original": ("data/imdb", "imdb", "images"),
    "1024": (
        "data/imdb-clean-1024/imdb-clean-1024",
        "data/imdb-clean-1024",
        "imdb-clean-1024/imdb-clean-1024",
        "imdb-clean-1024",
    ),
}
TABLE_FOLDERS: Final = ("csvs", "", "data/imdb-clean-1024", "imdb-clean-1024")
MIVOLO_TABLE_FOLDERS: Final = ("annotation", "annotations", "csvs", "")
MIVOLO_IMAGE_FOLDERS: Final = ("images", "data/imdb", "imdb")
# Folders before these differ from copy to copy; nm<number> is the person.
_IMAGE = re.compile(r"(?:.*?/)??(?P<image>(?:\d\d/)?(?P<person>nm\d+)_rm[^/]*)")

CARD: Final = CorpusCard(
    title="IMDB-Clean",
    modalities="face",
    labels="gender, age",
    licence="annotations: MIT; images of IMDB-WIKI: academic research only, not verified",
    access="free download by the scripts of github.com/yiminglin-ai/imdb-clean",
    splits="official train, valid (here dev) and test, no person in two",
    layout="""
csvs/imdb_{train,valid,test}_new.csv           boxes in the original images; or at the root
data/imdb/{00..99}/nm*_rm*.jpg                 or imdb/
csvs/imdb_{train,valid,test}_new_1024.csv      boxes in the crops, for images: "1024"
data/imdb-clean-1024/{00..99}/nm*_rm*.jpg      or imdb-clean-1024/, once or twice
annotation/*{train,valid,test}*.csv            MiVOLO's, for images: original
images/{00..99}/nm*_rm*.jpg                    ... in which its boxes are
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page, genders in thousands; clips are faces, the sum "
        "of the splits, not verified",
        clips=285_943,
        counted="clips",
        by_gender={"female": 127_000, "male": 158_000},
        age_range_years=(1, 95),
        age_mean_years=37.1,
        age_std_years=12.8,
    ),
)


def read_imdb_clean(corpus: str, root: Path, *, images: Images) -> Iterator[ClipRecord]:
    """Yield a record for each row of the three tables.

    The tables of the corpus are preferred. Without them, MiVOLO's are read for the original images.

    Args:
        corpus: its name, for messages.
        root: the folder of the corpus.
        images: the photographs, or the crops around the faces.

    Raises:
        CorpusError: a table or the folder of images is missing, or a table cannot be read.
    """
    tables = _find_tables(root, images)
    is_mivolo = not tables and images == "original"
    if is_mivolo:
        tables = _find_mivolo_tables(corpus, root)
    if missing := [name for name in SPLITS if name not in tables]:
        raise wrong_layout(corpus, root, CARD, _describe_missing(missing, images))
    folder = _find_images(
        corpus, root, MIVOLO_IMAGE_FOLDERS if is_mivolo else IMAGE_FOLDERS[images]
    )
    counts = Counter[str]()
    for name, split in SPLITS.items():
        faces = (read_mivolo_table if is_mivolo else _read_table)(corpus, tables[name])
        for face in faces:
            record = _to_record(folder, split, face)
            counts[(record.unusable or "usable").partition(":")[0]] += 1
            counts["unknown gender"] += record.gender is None
            yield record
    logger.info(
        "%s: %d usable faces, %d of another age than %d..%d, %d without a label, %d of unknown "
        "gender",
        corpus, counts["usable"], counts[_AGE_PROBLEM], MIN_AGE_YEARS, MAX_AGE_YEARS,
        counts["no label"], counts["unknown gender"],
    )  # fmt: skip


def _table_name(split: str, images: Images) -> str:
    return f"imdb_{split}_new{'_1024' if images == '1024' else ''}.csv"


def _find_tables(root: Path, images: Images) -> dict[str, Path]:
    tables = {}
    for split in SPLITS:
        paths = [root / folder / _table_name(split, images) for folder in TABLE_FOLDERS]
        if path := next(filter(Path.is_file, paths), None):
            tables[split] = path
    return tables


def _find_mivolo_tables(corpus: str, root: Path) -> dict[str, Path]:
    """Find a table for each split: any file with the split in its name."""
    for folder in MIVOLO_TABLE_FOLDERS:
        paths = [
            path for path in sorted((root / folder).glob("*.csv")) if not _is_official(path.name)
        ]
        by_split = {
            split: [path for path in paths if split in path.name.lower()] for split in SPLITS
        }
        if twice := next((tables for tables in by_split.values() if len(tables) > 1), None):
            names = " and ".join(path.name for path in twice)
            raise CorpusError(
                f"Corpus {corpus!r}: {root / folder} has two tables of one split: {names}. Keep "
                "only one of them there."
            )
        if any(by_split.values()):
            return {split: tables[0] for split, tables in by_split.items() if tables}
    return {}


def _is_official(name: str) -> bool:
    return name.startswith("imdb_") and name.endswith(("_new.csv", "_1024.csv", "predictions.csv"))


def _describe_missing(missing: Sequence[str], images: Images) -> str:
    names = ", ".join(_table_name(split, images) for split in missing)
    mivolo = ", nor one of MiVOLO's for it" if images == "original" else ""
    return f"there is no table {names}{mivolo}"


def _find_images(corpus: str, root: Path, folders: Sequence[str]) -> PurePosixPath:
    for folder in folders:
        if (root / folder).is_dir():
            return PurePosixPath(folder)
    raise wrong_layout(corpus, root, CARD, f"there is no folder of images {' or '.join(folders)}")


def _read_table(corpus: str, path: Path) -> Iterator[Face]:
    """Yield the faces of a table of the corpus, by the names of columns or else by their order."""
    has_names = None
    for line in read_table(corpus, path):
        named = {OTHER_NAMES.get(name, name): field for name, field in line.fields.items()}
        if has_names is None:  # all lines are of one kind, but some may be cut short
            has_names = named.keys() >= set(COLUMNS)
        row = named if has_names else dict(zip(COLUMNS, line.fields.values(), strict=False))
        filename, age, gender, *corners = (row.get(name, "") for name in COLUMNS)
        yield read_face(
            filename, age=age, gender=gender, corners=corners, line_problems=line.problems
        )


def _to_record(folder: PurePosixPath, split: str, face: Face) -> ClipRecord:
    match = _IMAGE.fullmatch(face.image)
    image = PurePosixPath(match["image"] if match else face.image or "unnamed")
    return ClipRecord(
        stem=f"{str(image).removesuffix(image.suffix)}/{face.place}",
        speaker_id=match["person"] if match else None,
        split=split,
        image_path=str(folder / image),
        face_box=face.box,
        gender=face.gender,
        age_years=face.age.years,
        age_low=face.age.low,
        age_high=face.age.high,
        unusable="; ".join(_find_problems(face, is_named=bool(match))) or None,
    )


def _find_problems(face: Face, *, is_named: bool) -> list[str]:
    if not face.is_labelled:
        return ["no label"]
    problems = [*face.problems]
    years = face.age.years
    if years is not None and not MIN_AGE_YEARS <= years <= MAX_AGE_YEARS:
        problems.append(f"{_AGE_PROBLEM}: {years:g}")
    if not face.box and not problems:
        problems.append("no face box")
    if not is_named:
        problems.append(f"no person in the name of the image: {face.image}")
    return problems
