"""A clone that has run from a generated corpus to its report, once for all tests that need one.

It works on `mini`, eight generated speakers, and on `own`, a user's clips with broken files among
them. What it has made is copied for each module of tests: the copy runs no stage again.
"""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pytest

from tests.broken_clips import write_broken_clips
from tests.project import Project, Run, clone

NUM_EXAMPLES: Final = 3
HEADS: Final = ("cross_attention", "face_only")
FIRST_RUN: Final = "first_run.txt"


@dataclass(frozen=True)
class Template:
    """Where the project lies, and what its `dvc repro` printed."""

    folder: Path
    run: Run

    def copy(self, folder: Path) -> Project:
        """Copy the project with all it has made."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Project(folder, warm=True)


def make_once(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Make the template, or wait until another process of this test run has made it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # each worker has a folder of its own in it
    folder, printed = shared / "template", shared / FIRST_RUN
    with (shared / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            printed.write_text(make_project(folder).repro().output)
    return Template(folder, Run(printed.read_text(), 0))


def make_project(folder: Path) -> Project:
    """Clone this project, with both corpora and parameters that make it quick."""
    project = clone(folder, warm=True)
    params = project.read_params()
    studio = params["corpora"]["studio"] | {"root": "data/corpora/mini", "num_speakers": 8}
    own = {"reader": "csv", "root": "data/corpora/own", "group_columns": ["accent"]}
    project.change(  # fine-tuning has tests of its own: test_encoder_stages.py
        use_corpora=["mini", "own"],
        use_heads=[*HEADS],
        encoders={"finetune": []},
        train={
            "corpora": ["mini"],
            "corpora_of": {},
            "seeds": [0],
            "max_epochs": 2,
            "patience": 2,
        },
        report={"num_resamples": 100, "num_examples": NUM_EXAMPLES, "group_by": ["accent"]},
        corpora={"mini": studio, "own": own},
    )
    generated = project.run("oragen", "generate", "mini")
    assert generated.exit_code == 0, generated.output
    add_own_corpus(project)
    return project


def add_own_corpus(project: Project) -> None:
    """Take four good clips of the generated corpus, and write the broken ones beside them."""
    mini, own = (project.folder / "data" / "corpora" / name for name in ("mini", "own"))
    own.mkdir()
    good = pick_good_clips(mini, 4)
    for row in good:
        shutil.copy2(mini / row["media"], own / Path(row["media"]).name)
    broken = write_broken_clips(own, mini / good[0]["media"])
    rows = [
        row | {"media": Path(row["media"]).name, "split": "test", "accent": accent}
        for row, accent in zip(good, ("north", "south", "north", ""), strict=True)
    ]
    rows += [
        {"media": path.name, "speaker_id": name, "gender": "female", "split": "test"}
        for name, path in broken.items()
    ]
    project.write_labels("own", [*rows, {"media": "missing.mp4"}])


def pick_good_clips(mini: Path, count: int) -> list[dict[str, str]]:
    """Return labels of bare-faced clips, one a speaker; the longest is the last to be faulty."""
    table = pd.read_csv(mini / "labels.csv", dtype=str, keep_default_na=False)
    table["size"] = [(mini / media).stat().st_size for media in table["media"]]
    bare = table[table["mask_type"].isin(["none", "shield", "medical"])]
    best = bare.sort_values(["mask_type", "size"], ascending=[False, False])
    chosen = best.drop_duplicates("speaker_id").head(count).drop(columns="size")
    rows: list[dict[str, str]] = chosen.to_dict("records")
    return rows


def add_new_clip(project: Project) -> None:
    """Put a fifth good clip of the generated corpus into the user's, for testing."""
    own, mini = (project.folder / "data" / "corpora" / name for name in ("own", "mini"))
    rows = pd.read_csv(own / "labels.csv", dtype=str, keep_default_na=False).to_dict("records")
    new = pick_good_clips(mini, 5)[4]
    shutil.copy2(mini / new["media"], own / "new.mp4")
    project.write_labels("own", [*rows, new | {"media": "new.mp4", "split": "test"}])
