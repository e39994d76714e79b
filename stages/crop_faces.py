"""Clips -> crops of the main face, one a second, in immutable HDF5 parts, and their table."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from oragen.config import paths
from oragen.config.options import fill
from oragen.config.params import load_params
from oragen.detection.face_detectors import detector_fingerprint
from oragen.detection.faces import CropOptions, crop_clip
from oragen.schema.tables import CLIPS, CROPS
from oragen.schema.vocabulary import Made, Skipped
from oragen.store.fill import Wanted, fill_store, skipped_rows
from oragen.store.keys import crop_key, faces_key
from oragen.store.parts import PartStore, Row
from stages.running import account, run_stage

STAGE = "crop_faces"


def main(corpus: str) -> None:
    """Cut the main face out of the clips of CORPUS that the store lacks."""
    params = load_params()
    root = params.corpora[corpus].root
    clips = CLIPS.read(paths.clips_table(corpus)).set_index("clip_id")
    pictured = clips[clips["picture_hash"].notna()]
    sources = find_sources(pictured, root)
    options = fill(CropOptions, params.faces)
    cache_parameters = params.faces.as_cache_parameters()
    is_needed = any(source.face_box is None for source in sources.values())
    detector = detector_fingerprint(options.detector, weights=options.weights) if is_needed else ""
    keys = {
        clip: faces_key(digest, cache_parameters, detector, sources[clip].face_box)
        for clip, digest in pictured["picture_hash"].items()
    }
    store = PartStore(paths.faces_store(corpus), "h5")
    num_new = fill_store(
        store,
        {key: Wanted(clip, sources[clip]) for clip, key in keys.items()},
        partial(crop_source, options=options),
        spec={"values": "RGB uint8: crop x height x width x 3", "faces": cache_parameters},
        part_bytes=params.execution.part_bytes,
        num_workers=params.execution.num_processes,
        title=STAGE,
    )
    index = store.index()
    rows = {clip: index[key].row for clip, key in keys.items()}
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
            *(Skipped(clip, STAGE, "sound without pictures") for clip in without_pictures),
        ],
        made=f"{len(crops)} crops, {num_new} clips searched now",
    )


class Source(NamedTuple):
    """A file with pictures, and where in them the face is, if that is known."""

    path: Path
    face_box: tuple[float, float, float, float] | None


def find_sources(pictured: pd.DataFrame, root: Path) -> dict[str, Source]:
    """Rows of the clips table that have pictures -> where those of each clip come from."""
    files = pictured["video_path"].fillna(pictured["image_path"])
    return {
        clip: Source(root / file, to_box(box))
        for clip, file, box in zip(pictured.index, files, pictured["face_box"], strict=True)
    }


def to_box(edges: np.ndarray | None) -> tuple[float, float, float, float] | None:
    """Convert a box as it is read from the table."""
    if edges is None:
        return None
    x1, y1, x2, y2 = edges.tolist()
    return x1, y1, x2, y2


def crop_source(source: Source, *, options: CropOptions) -> Made:
    """Cut out a clip's face in another process."""
    return crop_clip(source.path, options=options, face_box=source.face_box)


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
