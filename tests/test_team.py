"""Two people share a store through Git and a DVC remote: what one has made, the other never makes.

Anna runs the pipeline and pushes. Ben clones, pulls, adds a clip and pushes. Anna pulls.
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple

import pytest

from oragen.schema.tables import WINDOWS
from tests.project import Project, Run
from tests.template_project import Template, add_new_clip

pytestmark = pytest.mark.slow  # whole pipelines

CORPORA = ("mini", "own")
CORPUS = "own"  # which gets one clip more
KINDS = ("audio/{}", "faces/{}", "speech/{}", "features/{}/tiny-vit", "features/{}/tiny-wav2vec2")
FILES_OF_A_PART = {".h5": 1, ".zarr": 5}
NOT_RETRAINED = ("train_head", "finetune_encoder")


class FileState(NamedTuple):
    """A file that was written again, even with the same bytes, has another state."""

    inode: int
    modified_ns: int
    size: int
    md5: str


Files = Mapping[str, FileState]


@dataclass(frozen=True)
class Step:
    """A command, and the files it could have changed before and after it."""

    run: Run
    before: Files
    after: Files

    @property
    def new(self) -> dict[str, FileState]:
        """The files that were not there before."""
        return {name: state for name, state in self.after.items() if name not in self.before}

    @property
    def kept(self) -> dict[str, FileState]:
        """The files that were there before, as they are now."""
        return {name: state for name, state in self.after.items() if name in self.before}


def look_at(folder: Path, *patterns: str) -> Files:
    """Return the state of every file that matches one of the patterns."""
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return {str(path.relative_to(folder)): _state_of(path) for path in paths if path.is_file()}


def _state_of(path: Path) -> FileState:
    with path.open("rb") as file:
        digest = file_digest(file, "md5").hexdigest()  # DVC names files by it
    status = path.stat()
    return FileState(status.st_ino, status.st_mtime_ns, status.st_size, digest)


def look_at_parts(project: Project) -> Files:
    """Return the state of every file of every part of every store."""
    return look_at(project.folder / "data", "**/part-*", "**/part-*/**/*")


def part_of(name: str) -> Path:
    """A file of a part -> the part."""
    return next(path for path in (Path(name), *Path(name).parents) if path.stem.startswith("part-"))


def contents(files: Files) -> dict[str, str]:
    """Files by name -> their checksums, which two people's copies share."""
    return {name: state.md5 for name, state in files.items()}


def run_git(project: Project, *command: str) -> None:
    """Run a Git command under some name."""
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    run = project.run("git", *author, *command)
    assert run.exit_code == 0, run.output


def run_dvc(project: Project, *command: str) -> Run:
    """Run a DVC command that must end well."""
    run = project.run("dvc", *command)
    assert run.exit_code == 0, run.output
    return run


def media_folder(project: Project) -> Path:
    """Return where the corpora lie: neither Git nor DVC carries them."""
    return project.folder / "data" / "corpora"


def stores_of(*corpora: str) -> set[str]:
    """Return the folders of their stores below data/."""
    return {kind.format(corpus) for kind in KINDS for corpus in corpora}


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the team shares."""
    return tmp_path_factory.mktemp("remote")


@pytest.fixture(scope="module")
def anna(template: Template, tmp_path_factory: pytest.TempPathFactory, remote: Path) -> Project:
    """A project that was run and pushed."""
    project = template.copy(tmp_path_factory.mktemp("anna"))
    run_dvc(project, "remote", "add", "--default", "team", str(remote))
    run_git(project, "add", "--all")
    run_git(project, "commit", "--quiet", "--message=first run")
    run_dvc(project, "push")
    return project


@pytest.fixture(scope="module")
def ben(tmp_path_factory: pytest.TempPathFactory, anna: Project) -> Project:
    """A clone of Anna's repository with what she pushed, and a copy of the media."""
    folder = tmp_path_factory.mktemp("ben")
    subprocess.run(["git", "clone", "--quiet", str(anna.folder), str(folder)], check=True)
    project = Project(folder, warm=True)
    run_dvc(project, "pull")
    shutil.copytree(media_folder(anna), media_folder(project))
    return project


@pytest.fixture(scope="module")
def pulled(ben: Project) -> Step:
    """Ben's first `dvc repro`."""
    before = look_at_parts(ben)
    run = ben.repro()
    return Step(run, before, look_at_parts(ben))


@pytest.fixture(scope="module")
def added(ben: Project, pulled: Step) -> Step:
    """Ben's `dvc repro` with one clip more."""
    add_new_clip(ben)
    before = look_at_parts(ben)
    run = ben.repro()
    return Step(run, before, look_at_parts(ben))


@pytest.fixture(scope="module")
def sent(ben: Project, added: Step, remote: Path) -> Step:
    """Ben's `dvc push`."""
    before = look_at(remote, "**/*")
    run_git(ben, "commit", "--quiet", "--all", "--message=one clip more")
    run = run_dvc(ben, "push")
    return Step(run, before, look_at(remote, "**/*"))


@pytest.fixture(scope="module")
def returned(anna: Project, ben: Project, sent: Step) -> Step:
    """Anna's `git pull`, `dvc pull` and `dvc repro`."""
    before = look_at_parts(anna)
    shutil.copytree(media_folder(ben), media_folder(anna), dirs_exist_ok=True)
    run_git(anna, "pull", "--quiet", "--ff-only", str(ben.folder))
    run_dvc(anna, "pull")
    run = anna.repro()
    return Step(run, before, look_at_parts(anna))


def test_what_a_colleague_made_runs_no_stage(pulled: Step) -> None:
    assert pulled.run.stages == []


def test_pulled_parts_are_the_colleagues_and_stay_as_they_are(anna: Project, pulled: Step) -> None:
    assert {str(part_of(name).parent) for name in pulled.before} == stores_of(*CORPORA)
    assert contents(pulled.before) == contents(look_at_parts(anna))
    assert pulled.after == pulled.before


def test_pulled_features_are_found_even_when_their_stages_must_run(
    ben: Project, pulled: Step
) -> None:
    """No key knows whose machine it was made on."""
    before = look_at_parts(ben)
    stages = [f"extract_{modality}_features" for modality in ("audio", "face")]
    run = ben.repro("--single-item", "--force", *(f"{stage}@{CORPUS}" for stage in stages))
    for stage in stages:
        assert " 0 encoded now" in run.line_of(f"{stage} {CORPUS}")
    assert look_at_parts(ben) == before


def test_one_clip_more_is_encoded_alone(ben: Project, added: Step) -> None:
    windows = WINDOWS.read(ben.folder / f"data/windows/{CORPUS}.parquet")
    of_new = windows[windows["clip_id"] == f"{CORPUS}/new"]
    crops = {crop for crops in of_new["crops"] for crop in crops} - {-1}
    assert crops
    assert of_new["has_speech"].all()
    expected = {
        "decode_audio": "1 decoded now",
        "detect_speech": "1 clips searched now",
        "crop_faces": "1 clips searched now",
        "extract_audio_features": f"{len(of_new)} encoded now",
        "extract_face_features": f"{len(crops)} encoded now",
    }
    for stage, account in expected.items():
        assert f" {account}" in added.run.line_of(f"{stage} {CORPUS}")
    assert not [stage for stage in added.run.stages if stage.startswith(NOT_RETRAINED)]


def test_one_clip_more_is_one_part_more_in_each_store(added: Step) -> None:
    parts = [part_of(name) for name in added.new]
    assert sorted(str(part.parent) for part in set(parts)) == sorted(stores_of(CORPUS))
    for part in set(parts):
        assert parts.count(part) == FILES_OF_A_PART[part.suffix]


def test_one_clip_more_leaves_all_other_parts_untouched(added: Step) -> None:
    assert added.kept == added.before


def test_a_push_leaves_what_the_remote_has_untouched(sent: Step) -> None:
    assert sent.kept == sent.before


def test_a_push_sends_the_new_parts_and_tables_alone(ben: Project, added: Step, sent: Step) -> None:
    sent_by_md5 = {_md5_of(name): state.size for name, state in sent.new.items()}
    known = {_md5_of(name) for name in sent.before}
    parts = {state.md5: state.size for state in added.new.values() if state.md5 not in known}
    assert sum(size for md5, size in sent_by_md5.items() if md5 in parts) == sum(parts.values())
    rest = {md5 for md5 in sent_by_md5 if md5 not in parts and not md5.endswith(".dir")}
    tables = look_at(ben.folder / "data", "**/*.parquet")
    shown = [look_at(ben.folder / "data" / name, "**/*") for name in ("reports", "explanations")]
    assert rest <= {state.md5 for found in (tables, *shown) for state in found.values()}


def _md5_of(name: str) -> str:
    """A file's name in the remote, such as files/md5/0a/1b2c -> the checksum it stands for."""
    *_, first, rest = Path(name).parts
    return first + rest


def test_the_new_parts_come_back_and_run_no_stage(added: Step, returned: Step) -> None:
    assert returned.run.stages == []
    assert contents(returned.after) == contents(added.after)
    assert returned.kept == returned.before
