"""LAGENDA's annotation table -> a record for each face; several faces share an image.

Photographs of Open Images with age and gender as ten annotators guessed them, and boxes of faces
and persons from the authors' detector. `lagenda_annotation.csv` and `lagenda_benchmark_images.zip`
are on MiVOLO's page (github.com/WildChlamydia/MiVOLO).

The table has 347 509 rows of 67 159 images. Only 84 192 rows have a label. The others are boxes of
further faces and persons, and are listed as skipped. One image is known to be missing:
`lag_benchmark/b5c8ef090f134ad5.jpg.jpg`. There is no official split: each image is assigned one by
its name.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.face_tables import Face, read_mivolo_table
from oragen.corpora.records import ClipRecord

logger = logging.getLogger(__name__)

IMAGES: Final = "lag_benchmark"

CARD: Final = CorpusCard(
    title="LAGENDA",
    modalities="face",
    labels="gender, age",
    licence="annotations: CC BY or CC BY-SA, depending on the source, not verified; images: "
    "CC BY 2.0 as part of Open Images, not verified",
    access="free download from MiVOLO's page: github.com/WildChlamydia/MiVOLO",
    splits="none; each image gets one by a hash of its name",
    layout="""
lagenda_annotation.csv      img_name,age,gender,face_x0,...,person_y1
lag_benchmark/*.jpg         or the images beside the table, or either of these in images/
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page; clips are faces with a label",
        clips=84_192,
        counted="clips",
        by_gender={"female": 42_735, "male": 41_457},
        age_range_years=(0, 95),
        age_mean_years=36.8,
        age_std_years=21.6,
    ),
)


def read_lagenda(corpus: str, root: Path, *, annotations: Path) -> Iterator[ClipRecord]:
    """Yield a record for each row of the table, with or without a label.

    Args:
        corpus: its name, for messages.
        root: the folder of the corpus.
        annotations: the table, relative to the root.

    Raises:
        CorpusError: there is no table or no folder of images, or the table cannot be read.
    """
    if not (root / annotations).is_file():
        raise wrong_layout(corpus, root, CARD, f"there is no table {annotations}")
    folder = _find_images(corpus, root)
    counts = Counter[str]()
    for face in read_mivolo_table(corpus, root / annotations):
        record = _to_record(folder, face)
        counts[record.unusable or "labelled"] += 1
        yield record
    logger.info(
        "%s: %d rows, of them %d faces with a label, %d without, %d persons without a face",
        corpus, counts.total(), counts["labelled"], counts["no label"], counts["no face box"],
    )  # fmt: skip


def _find_images(corpus: str, root: Path) -> PurePosixPath:
    """Return the folder of the images: `lag_benchmark`, or the one beside the table."""
    for folder in ("", "images"):
        if (root / folder / IMAGES).is_dir():
            return PurePosixPath(folder, IMAGES)
        if next((root / folder).glob("*.jpg"), None):
            return PurePosixPath(folder)
    raise wrong_layout(corpus, root, CARD, f"there is no folder {IMAGES}, and no *.jpg")


def _to_record(folder: PurePosixPath, face: Face) -> ClipRecord:
    image = PurePosixPath(face.image)
    stem = f"{str(image).removesuffix(image.suffix)}/{face.place}"
    if not face.is_labelled:
        return ClipRecord(stem=stem, unusable="no label")
    problems = face.problems or ([] if face.box else ["no face box"])
    return ClipRecord(
        stem=stem,
        speaker_id=face.image,
        image_path=str(folder / image.relative_to(IMAGES))
        if image.is_relative_to(IMAGES)
        else str(folder / image),
        face_box=face.box,
        gender=face.gender,
        age_years=face.age.years,
        age_low=face.age.low,
        age_high=face.age.high,
        unusable="; ".join(problems) or None,
    )
