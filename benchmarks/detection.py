"""Clips with masks -> the share of seconds with a face, by mask type: the cascade beside YuNet.

Every clip is a folder's, with its mask type in the folder's `labels.csv`, as generated corpora and
those of the `csv` reader have it. A second counts where the main face was detected in its picture.
What the pipeline interpolates between two detections is a column of its own.
"""

import csv
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from benchmarks.measuring import Value, show
from oragen.detection.face_detectors import FaceDetector, build_detector
from oragen.detection.tracking import track_main_face
from oragen.media.images import Rgb
from oragen.media.video import sample_pictures
from oragen.schema.choices.face_detectors import DetectorName

MAX_GAP = 2  # as in params.yaml
DETECTORS: tuple[DetectorName, ...] = ("cascade", "yunet")


class Found(NamedTuple):
    """Of the pictures of clips: how many, and in how many the main face was found."""

    pictures: int
    detected: int
    filled: int  # detected, or interpolated
    clips: int
    faceless: int  # clips without any face

    def __add__(self, other: object) -> "Found":
        assert isinstance(other, Found)
        return Found(*(a + b for a, b in zip(self, other, strict=True)))


def main(
    folders: Annotated[list[Path], typer.Argument(help="Folders of clips with labels.csv.")],
    weights: Annotated[
        Path | None, typer.Option(help="Of YuNet; without it, those that are kept.")
    ] = None,
) -> None:
    """Count the seconds with a face in each folder."""
    detectors = {
        name: build_detector(name, weights=weights if name == "yunet" else None)
        for name in DETECTORS
    }
    for folder in folders:
        found, seconds = search(read_labels(folder), detectors)
        mask_types = sorted({mask_type for _, mask_type in found})
        show(
            "detection",
            f"{folder.name}: seconds with a face, %",
            [describe(mask_type, found) for mask_type in [*mask_types, "all"]],
            **{f"{name}_ms_a_picture": 1000 * taken for name, taken in seconds.items()},
        )


def read_labels(folder: Path) -> dict[Path, str]:
    """Clip of a folder -> its mask type, "unknown" where the table does not say."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        return {
            folder / row["media"]: row.get("mask_type") or "unknown" for row in csv.DictReader(file)
        }


def search(
    labels: Mapping[Path, str], detectors: Mapping[DetectorName, FaceDetector]
) -> tuple[dict[tuple[DetectorName, str], Found], dict[DetectorName, float]]:
    """Search every clip with every detector.

    Returns what was found by detector and mask type, and the seconds a picture took.
    """
    found: dict[tuple[DetectorName, str], Found] = defaultdict(lambda: Found(0, 0, 0, 0, 0))
    taken: dict[DetectorName, float] = dict.fromkeys(detectors, 0.0)
    num_pictures = 0
    for path, mask_type in labels.items():
        pictures = [picture.rgb for picture in sample_pictures(path, max_duration_s=7200)]
        num_pictures += len(pictures)
        for name, detector in detectors.items():
            start = time.perf_counter()
            found[name, mask_type] += count(detector, pictures)
            taken[name] += time.perf_counter() - start
    return found, {name: seconds / num_pictures for name, seconds in taken.items()}


def count(detector: FaceDetector, pictures: Sequence[Rgb]) -> Found:
    """Find the main face in the pictures of a clip, as `crop_faces` does."""
    main_face = track_main_face([detector.detect(rgb) for rgb in pictures], max_gap=MAX_GAP)
    boxes = [box for box in main_face if box is not None]
    detected = sum(box.score > 0 for box in boxes)  # 0: interpolated
    return Found(len(pictures), detected, len(boxes), 1, int(not boxes))


def describe(mask_type: str, found: Mapping[tuple[DetectorName, str], Found]) -> dict[str, Value]:
    """Return the row of a mask type, or of all."""
    sums = {
        name: sum(
            (one for (by, mask), one in found.items() if by == name and mask_type in (mask, "all")),
            Found(0, 0, 0, 0, 0),
        )
        for name in DETECTORS
    }
    row: dict[str, Value] = {
        "mask type": mask_type, "clips": sums["yunet"].clips, "seconds": sums["yunet"].pictures,
    }  # fmt: skip
    for name, one in sums.items():
        row[name] = 100 * one.detected / one.pictures
        row[f"{name}, gaps filled"] = 100 * one.filled / one.pictures
        row[f"clips without, {name}"] = one.faceless
    return row


if __name__ == "__main__":
    typer.run(main)
