"""Clips -> crops of the main face, one a second, in immutable HDF5 parts, and their table."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from oragen.config import paths
from oragen.config.clips import Faces
from oragen.config.options import fill
from oragen.config.params import Params, load_params
from oragen.config.settled_faces import settle
from oragen.detection.face_detectors import detector_fingerprint
from oragen.detection.faces import CropOptions, crop_clip
from oragen.isolation.workers import Workers
from oragen.media.verified import DECODERS, Reading, count_bytes, read_verified
from oragen.schema.tables import CLIPS, CROPS
from oragen.schema.vocabulary import Skipped
from oragen.store.fill import Filling, Wanted, failed_clips, skipped_rows
from oragen.store.keys import crop_key, faces_key
from oragen.store.parts import PartStore
from oragen.store.rows import Row
from stages.launching import fill_lacking
from stages.running import account, refuse_failures, run_stage

STAGE = "crop_faces"


def main(corpus: str) -> None:
    """Cut the main face out of the clips of CORPUS that the store lacks."""
    params = load_params()
    clips = CLIPS.read(paths.clips_table(corpus)).set_index("clip_id")
    pictured = find_pictured(clips)
    faces = settle(params.faces)
    options = fill(CropOptions, faces)
    keys = find_keys(pictured, faces)
    filled = fill_lacking(corpus, params, describe(params, corpus), open_workers)
    rows = {clip: filled.located[key].row for clip, key in keys.items() if key in filled.located}
    failed = failed_clips(STAGE, keys, filled)
    crops = [crop for clip, row in rows.items() for crop in list_crops(clip, row)]
    CROPS.write(paths.crops_table(corpus), CROPS.frame(crops))
    without_pictures = clips.index.difference(pictured.index)
    account(
        STAGE,
        corpus,
        clips_in=clips.index,
        clips_out=[clip for clip, row in rows.items() if not row.reason],
        skipped=[
            *skipped_rows(STAGE, rows),
            *failed,
            *(Skipped(clip, STAGE, "sound without pictures") for clip in without_pictures),
        ],
        made=f"{len(crops)} crops of {options.crop_px} px"
        f"{f' by {options.detector}' if needs_detector(pictured) else ''}, "
        f"{filled.num_made} clips searched now",
    )
    refuse_failures(STAGE, corpus, failed)


Box = tuple[float, float, float, float]


def describe(params: Params, corpus: str) -> Filling:
    """Say what the store of a corpus should hold."""
    pictured = find_pictured(CLIPS.read(paths.clips_table(corpus)).set_index("clip_id"))
    faces = settle(params.faces)
    options = fill(CropOptions, faces)
    sources = find_sources(pictured, params.corpus(corpus).root, options)
    return Filling(
        PartStore(paths.faces_store(corpus), "h5"),
        {key: Wanted(clip, sources[clip]) for clip, key in find_keys(pictured, faces).items()},
        read_verified,
        nothing=np.zeros((0, options.crop_px, options.crop_px, 3), np.uint8),
        spec={
            "values": "RGB uint8: crop x height x width x 3",
            "faces": faces.as_cache_parameters(),
        },
        part_bytes=params.execution.part_bytes,
        libraries=DECODERS,
        title=STAGE,
        limits=params.execution.clip_limits,
        size_of=count_bytes,
    )


def open_workers(params: Params, num_workers: int) -> Workers:
    """Return the processes that search."""
    return Workers(num_workers, limits=params.execution.clip_limits)


def find_pictured(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the clips that have pictures, with their boxes as `crop_clip` takes them."""
    pictured = clips[clips["picture_hash"].notna()].copy()
    pictured["face_box"] = pd.Series(
        [to_box(box) for box in pictured["face_box"]], index=pictured.index, dtype=object
    )
    return pictured


def needs_detector(pictured: pd.DataFrame) -> bool:
    """Whether the face of a clip has to be found."""
    return any(box is None for box in pictured["face_box"])


def find_keys(pictured: pd.DataFrame, faces: Faces) -> dict[str, str]:
    """Return the key of the crops of each clip."""
    options = fill(CropOptions, faces)
    is_needed = needs_detector(pictured)
    detector = detector_fingerprint(options.detector, weights=options.weights) if is_needed else ""
    cache_parameters = faces.as_cache_parameters()
    columns = zip(pictured.index, pictured["picture_hash"], pictured["face_box"], strict=True)
    return {
        clip: faces_key(digest, cache_parameters, detector, box) for clip, digest, box in columns
    }


def find_sources(pictured: pd.DataFrame, root: Path, options: CropOptions) -> dict[str, Reading]:
    """Rows of the clips table that have pictures -> where those come from, and what to make."""
    files = pictured["video_path"].fillna(pictured["image_path"])
    columns = (pictured.index, files, pictured["picture_hash"], pictured["face_box"])
    return {
        clip: Reading(root / file, digest, partial(crop_clip, options=options, face_box=box))
        for clip, file, digest, box in zip(*columns, strict=True)
    }


def to_box(edges: np.ndarray | None) -> Box | None:
    """Convert a box as it is read from the table."""
    if edges is None:
        return None
    x1, y1, x2, y2 = edges.tolist()
    return x1, y1, x2, y2


def list_crops(clip: str, row: Row) -> list[dict[str, object]]:
    """One clip's row of the store -> its rows of the crops table."""
    if row.reason:
        return []
    samples, boxes = row.details["samples"], row.details["boxes"]
    landmarks = row.details.get("landmarks", [None] * len(boxes))  # older parts have none
    crops = zip(samples, boxes, landmarks, strict=True)
    return [
        {
            "clip_id": clip,
            "crop": number,
            "key": crop_key(row.key, sample),
            "faces_key": row.key,
            "sample": sample,
            **dict(zip(("x1", "y1", "x2", "y2", "score"), box, strict=True)),
            "landmarks": points,
        }
        for number, (sample, box, points) in enumerate(crops)
    ]


if __name__ == "__main__":
    run_stage(main)
