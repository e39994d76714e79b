"""A disk that is away, a file that changes: reported, not remembered, made good at the next run."""

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oragen.config import paths
from oragen.media.audio import decode_clip
from oragen.media.verified import Reading, read_verified
from oragen.schema.vocabulary import Made
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter
from tests.media_files import tone, write_sound
from tests.project import Project
from tests.template_project import Template


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return template.copy(tmp_path_factory.mktemp("away"))


def crop(project: Project) -> tuple[int, str]:
    run = project.run("python", "-m", "stages.crop_faces", "own")
    return run.exit_code, run.output


def read_reasons(project: Project) -> dict[str, str]:
    table = pd.read_parquet(project.folder / paths.skipped_table("own", "crop_faces"))
    return dict(zip(table["clip_id"], table["reason"], strict=True))


@pytest.mark.slow
def test_a_corpus_that_is_away_stops_the_stage_and_is_found_again(project: Project) -> None:
    corpus, store = project.folder / "data/corpora/own", project.folder / paths.faces_store("own")
    crops = project.folder / paths.crops_table("own")
    before, reasons = crops.read_bytes(), read_reasons(project)
    shutil.rmtree(store)
    corpus.rename(corpus.with_name("away"))
    exit_code, output = crop(project)
    assert exit_code == 2
    assert "Traceback" not in output
    assert "clips could not be read (no such file" in output
    assert "run `dvc repro` again" in output
    assert set(read_reasons(project).values()) == {"no such file"}
    assert PartStore(store, "h5").index() == {}
    corpus.with_name("away").rename(corpus)
    exit_code, output = crop(project)
    assert exit_code == 0, output
    assert crops.read_bytes() == before
    assert read_reasons(project) == reasons


@pytest.mark.slow
def test_dvc_tries_a_stage_again_whose_clips_could_not_be_read(project: Project) -> None:
    corpus, store = project.folder / "data/corpora/own", project.folder / paths.audio_store("own")
    good = next(corpus.glob("*.mp4"))
    store_before = {part.name for part in store.glob("part-*")}
    shutil.rmtree(store)
    content = good.read_bytes()
    good.write_bytes(content + b"\0")
    run = project.run("dvc", "repro", "--single-item", "decode_audio@own")
    assert run.exit_code != 0
    assert "1 clips could not be read (changed since it was indexed 1)" in run.output
    good.write_bytes(content)
    again = project.repro("--single-item", "decode_audio@own")
    assert again.stages == ["decode_audio@own"]
    assert " 1 decoded now" in again.output
    assert store_before  # parts are now two: the clips are the same
    assert project.run("dvc", "status", "decode_audio@own").exit_code == 0


@pytest.mark.slow
def test_a_store_that_holds_a_passing_reason_is_healed(project: Project) -> None:
    folder = project.folder / paths.faces_store("own")
    store = PartStore(folder, "h5")
    index = store.index()
    with PartWriter(PartStore(folder.with_name("old"), "h5"), {}, None) as writer:
        for located in index.values():
            writer.add(located.row.key, located.row.clip_id, np.zeros((0, 96, 96, 3), np.uint8),
                       reason="no such file", details={"notes": [""]})  # fmt: skip
    shutil.rmtree(folder)
    folder.with_name("old").rename(folder)
    exit_code, output = crop(project)
    assert exit_code == 0, output
    assert {key: located.row.reason for key, located in store.index().items()} == {
        key: located.row.reason for key, located in index.items()
    }


def read(path: Path, sha256: str) -> Made:
    return read_verified(Reading(path, sha256, partial(decode_clip, max_duration_s=60.0)))


def hash_of(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_the_bytes_that_were_indexed_are_decoded(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.wav", tone(0.5))
    indexed = hash_of(path)
    assert read(path, indexed).reason is None
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # of the same size and time
    assert read(path, indexed).reason == "changed since it was indexed"


@pytest.mark.parametrize("how", ["written", "replaced"])
def test_a_file_that_changes_while_it_is_decoded_is_not_kept(tmp_path: Path, how: str) -> None:
    path = write_sound(tmp_path / "sound.wav", tone(0.5))
    other = write_sound(tmp_path / "other.wav", tone(0.5, tone_hz=660.0))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    indexed = hash_of(path)

    def change(source: Path) -> Made:
        if how == "written":
            source.write_bytes(other.read_bytes())
        else:
            other.replace(source)
        return decode_clip(source, max_duration_s=60.0)

    assert read_verified(Reading(path, indexed, change)).reason == "changed since it was indexed"


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    assert read(tmp_path / "gone.wav", "").reason == "no such file"
    assert read(tmp_path / "folder.wav", "").reason == "not a file"
    assert read(tmp_path / ("n" * 300), "").reason == "unreadable"
