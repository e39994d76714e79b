"""One clip's file -> what the pipeline keeps of it: its sound, and the crops of its main face."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from oragen.audio import decode_audio
from oragen.execution import Made
from oragen.faces import DetectorName, FaceDetector, build_detector, crop_face, track_main_face
from oragen.media import UnusableMediaError
from oragen.video import sample_pictures


@dataclass(frozen=True)
class CropOptions:
    """How the main face is found and cut out."""

    detector: DetectorName
    weights: Path | None
    min_score: float
    max_gap: int
    margin: float
    crop_px: int
    max_duration_s: float


def decode_clip(path: Path, *, max_duration_s: float) -> Made:
    """Decode a clip's sound (int16 mono 16 kHz), or say why that cannot be done."""
    notes: list[str] = []
    try:
        samples = decode_audio(path, max_duration_s=max_duration_s, notes=notes)
    except UnusableMediaError as error:
        return Made(np.zeros(0, np.int16), error.reason, {"notes": [error.detail]})
    return Made(samples, None, {"notes": notes})


def crop_clip(path: Path, *, options: CropOptions) -> Made:
    """Cut the main face out of a clip's pictures, or say why there is none.

    The details hold the time of each crop in samples, its box, and the number of pictures.
    """
    size = options.crop_px
    nothing = np.zeros((0, size, size, 3), np.uint8)
    notes: list[str] = []
    try:
        pictures = list(sample_pictures(path, max_duration_s=options.max_duration_s, notes=notes))
    except UnusableMediaError as error:
        return Made(nothing, error.reason, {"notes": [error.detail]})
    detector = _detector(options.detector, options.weights, options.min_score)
    boxes = [detector.detect(picture.rgb) for picture in pictures]
    tracked = track_main_face(boxes, max_gap=options.max_gap)
    found = [(picture, box) for picture, box in zip(pictures, tracked, strict=True) if box]
    details = {
        "num_pictures": len(pictures),
        "samples": [picture.sample for picture, _ in found],
        "boxes": [list(box) for _, box in found],
        "notes": notes,
    }
    if not found:
        return Made(nothing, "no face", details)
    crops = [
        crop_face(picture.rgb, box, margin=options.margin, crop_px=size) for picture, box in found
    ]
    return Made(np.stack(crops), None, details)


@cache
def _detector(name: DetectorName, weights: Path | None, min_score: float) -> FaceDetector:
    """Build a detector once in each process."""
    return build_detector(name, weights=weights, min_score=min_score)
