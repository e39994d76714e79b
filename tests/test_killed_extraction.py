"""An extraction that is killed with -9, by the real stage in processes of its own."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from oragen.store.formats import verify_part
from tests.project import Project
from tests.template_project import Template

FEATURES = "data/features/mini/tiny-wav2vec2"


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone that has run on a generated corpus, and on one of a user's own with broken files."""
    return template.copy(tmp_path_factory.mktemp("project"))


@pytest.mark.slow
def test_an_extraction_that_is_killed_again_and_again_ends_as_one_undisturbed(
    project: Project, tmp_path: Path
) -> None:
    """Killed with -9 at random points; every batch makes a part, so no row is made twice either."""
    undisturbed, killed = (copy_without_features(project, tmp_path / name) for name in "uk")
    stage = ("python", "-m", "stages.extract_audio_features", "mini")
    assert undisturbed.run(*stage).exit_code == 0
    draw = random.Random(0)
    counts = [
        kill(killed, stage, len(parts_of(killed)) + draw.randrange(1, 5), draw) for _ in range(4)
    ]
    assert 0 < counts[0] < counts[-1] < len(parts_of(undisturbed))
    last = killed.run(*stage)
    assert last.exit_code == 0, last.output
    num_rows = len(parts_of(undisturbed)) - counts[-1]
    assert f" {num_rows} encoded now" in last.line_of("extract_audio_features mini")
    # A part's name is the hash of its rows and values.
    assert parts_of(killed) == parts_of(undisturbed)
    assert not list((killed.folder / FEATURES).glob("*.unfinished*"))
    for part in (killed.folder / FEATURES).glob("part-*"):
        verify_part(part, "zarr")


def copy_without_features(project: Project, folder: Path) -> Project:
    """Copy what an extraction needs, with a part for every row."""
    for name in ("stages", "oragen", "data/audio", "data/windows", "data/skipped"):
        shutil.copytree(project.folder / name, folder / name)
    shutil.copy2(project.folder / "params.yaml", folder)
    copied = Project(folder)
    features = copied.read_params()["features"]
    features["audio"]["batch_size"] = 1
    copied.change(features=features, execution={"part_mb": 0.001})
    return copied


def parts_of(project: Project) -> list[str]:
    return sorted(part.name for part in (project.folder / FEATURES).glob("part-*.zarr"))


def kill(project: Project, command: tuple[str, ...], num_parts: int, draw: random.Random) -> int:
    """Kill a command some moment after there are so many parts; return how many there are then."""
    with project.start(*command) as process:
        while len(parts_of(project)) < num_parts and process.poll() is None:
            time.sleep(0.001)
        time.sleep(draw.uniform(0.0, 0.02))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return len(parts_of(project))
