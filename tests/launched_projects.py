"""Copies of the template project whose stores are filled by a launcher, and their rows."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from oragen.store.formats import PartFormat, read_layout
from oragen.store.parts import PartStore
from tests.project import Project
from tests.template_project import Template

CLIP_STAGES: Final = ("decode_audio", "detect_speech", "crop_faces")
EXTRACTIONS: Final = ("extract_audio_features", "extract_face_features")
STORES: Final[Mapping[str, tuple[str, PartFormat]]] = {
    "decode_audio": ("audio/{}", "h5"),
    "detect_speech": ("speech/{}", "h5"),
    "crop_faces": ("faces/{}", "h5"),
    "extract_audio_features": ("features/{}/tiny-wav2vec2", "zarr"),
    "extract_face_features": ("features/{}/tiny-vit", "zarr"),
}
FOLDER: Final = re.compile(r"/\S*/data/")  # of a clip that libraries name in a note
Rows = dict[str, tuple[Any, ...]]


def copy(template: Template, folder: Path, *emptied: str, **execution: Any) -> Project:
    """Copy the project without the stores of some stages, with small groups of work."""
    project = Project(template.copy(folder).folder)  # commands in processes of their own
    features = project.read_params()["features"]
    features["audio"]["batch_size"], features["face"]["batch_size"] = 2, 4
    project.change(features=features, execution={"part_mb": 0.05, **execution})
    for stage in emptied:
        for corpus in ("mini", "own"):
            shutil.rmtree(folder / "data" / STORES[stage][0].format(corpus))
    return project


def run_stage(project: Project, stage: str, corpus: str) -> str:
    """Run a stage, which must end well; return its line of account, without the time."""
    run = project.run("python", "-m", f"stages.{stage}", corpus)
    assert run.exit_code == 0, run.output
    return run.line_of(f"{stage} {corpus}").rpartition(";")[0]


def read_rows(project: Project, stage: str, corpus: str) -> Rows:
    """Return what a store holds under each key, to the bit."""
    name, part_format = STORES[stage]
    store = PartStore(project.folder / "data" / name.format(corpus), part_format)
    return {
        located.row.key: (
            located.row.clip_id,
            located.row.reason,
            FOLDER.sub("data/", json.dumps(located.row.details, sort_keys=True)),
            values.shape,
            hashlib.sha256(values.tobytes()).hexdigest(),
        )
        for located, values in store.read_many([*store.index().values()])
    }


def count_rows(project: Project, stage: str, corpus: str) -> int:
    """Return how many rows the parts of a store have, with those that are there twice."""
    name, part_format = STORES[stage]
    store = PartStore(project.folder / "data" / name.format(corpus), part_format)
    return sum(len(read_layout(part, part_format).table) for part in store.parts())
