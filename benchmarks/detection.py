"""Clips with masks -> the share of seconds with a face, by mask type: the cascade beside YuNet.

Every clip is a folder's, with its mask type in the folder's `labels.csv`, as generated corpora and
those of the `csv` reader have it. On bare faces masks can be drawn. A second counts where the main
face was detected in its picture. What the pipeline interpolates between two detections is a column
of its own.
"""

import csv
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from benchmarks.measuring import Value, show
from oragen.detection.face_detectors import FaceDetector, build_detector
from oragen.detection.tracking import track_main_face
from oragen.finetuning.augmentation.masks import can_cover, cover_face
from oragen.media.images import Rgb
from oragen.media.video import sample_pictures
from oragen.schema.choices.face_detectors import DetectorName
from oragen.schema.vocabulary import MASK_TYPES

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
    draw_masks: Annotated[
        bool, typer.Option(help="Also draw a mask of each type on clips of bare faces.")
    ] = False,
) -> None:
    """Count the seconds with a face in each folder."""
    detectors = {
        name: build_detector(name, weights=weights if name == "yunet" else None)
        for name in DETECTORS
    }
    for folder in folders:
        found, seconds = search(list_clips(folder, detectors["yunet"], draw_masks), detectors)
        mask_types = sorted({mask_type for _, mask_type in found})
        show(
            "detection",
            f"{folder.name}: seconds with a face, %",
            [describe(mask_type, found) for mask_type in [*mask_types, "all"]],
            **{f"{name}_ms_a_picture": 1000 * taken for name, taken in seconds.items()},
        )


class Clip(NamedTuple):
    """The pictures of a clip, one a second, and what covers the face in them."""

    mask_type: str
    pictures: list[Rgb]


def list_clips(folder: Path, yunet: FaceDetector, draw_masks: bool) -> Iterator[Clip]:
    """Yield the clips of a folder; "unknown" is the mask type where the table does not say.

    Masks are drawn where YuNet has found the bare face, in each picture of a clip alike.
    """
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        labels = {row["media"]: row.get("mask_type") or "unknown" for row in csv.DictReader(file)}
    for number, (name, mask_type) in enumerate(labels.items()):
        pictures = [p.rgb for p in sample_pictures(folder / name, max_duration_s=7200)]
        yield Clip(mask_type, pictures)
        if draw_masks and mask_type == MASK_TYPES[0]:
            for drawn in MASK_TYPES[1:]:
                yield Clip(f"{drawn}, drawn", [cover(p, yunet, drawn, number) for p in pictures])


def cover(rgb: Rgb, yunet: FaceDetector, mask_type: str, seed: int) -> Rgb:
    """Draw a mask over the face of a picture, if there is one; the seed chooses the make."""
    face = max(yunet.detect(rgb), key=lambda box: box.side, default=None)
    if face is None or face.landmarks is None:
        return rgb
    landmarks = np.asarray(face.landmarks, np.float32).reshape(5, 2)
    if not can_cover(rgb, landmarks):
        return rgb
    generator = torch.Generator().manual_seed(seed)
    return cover_face(rgb, landmarks=landmarks, mask_type=mask_type, generator=generator).crop


def search(
    clips: Iterable[Clip], detectors: Mapping[DetectorName, FaceDetector]
) -> tuple[dict[tuple[DetectorName, str], Found], dict[DetectorName, float]]:
    """Search every clip with every detector.

    Returns what was found by detector and mask type, and the seconds a picture took.
    """
    found: dict[tuple[DetectorName, str], Found] = defaultdict(lambda: Found(0, 0, 0, 0, 0))
    taken: dict[DetectorName, float] = dict.fromkeys(detectors, 0.0)
    num_pictures = 0
    for mask_type, pictures in clips:
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
