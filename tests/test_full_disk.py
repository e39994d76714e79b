"""A full disk, a missing right, a reader that goes away: one sentence, and no half file."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch

from oragen.cli.checks.machine import check_disk
from oragen.models.folder import write_model
from oragen.predictor.drawing import draw_clip
from oragen.predictor.output import open_output
from oragen.predictor.plot import plot_prediction
from oragen.reporting.page.rendering import write_page
from oragen.reporting.page.sections import PageSection
from oragen.schema.ending import ended_by_a_sentence
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_folder, write_text
from oragen.schema.surroundings import explain_os_error
from oragen.schema.tables import SKIPPED
from oragen.store.rows import Row
from oragen.store.writing import write_part
from oragen.training.devices import DeviceError, choose_device
from tests.made_predictions import PREDICTED
from tests.media_files import plain, write_video
from tests.project import REPOSITORY

ROOM: Final = 100  # bytes that a file may have
NUMBERS = np.arange(4000, dtype=np.float32).reshape(1, -1)


@contextmanager
def full_disk() -> Iterator[None]:
    """Let the kernel refuse whatever would make a file larger than `ROOM`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_predictions(folder: Path, suffix: str) -> None:
    with open_output(folder / f"made{suffix}") as take:
        take(PREDICTED)


def write_drawn(folder: Path) -> None:
    draw_clip(folder.parent / "clip.mp4", PREDICTED, folder / "made.mp4")


def write_features(folder: Path, part_format: str) -> None:
    row = Row("key", "clip", 0, 1, "", {})
    write_part(folder, part_format, NUMBERS, [row], {"kind": "test"})  # type: ignore[arg-type]


def write_packed(folder: Path) -> None:
    with atomic_folder(folder / "packed") as unfinished:
        (unfinished / "weights").write_bytes(bytes(1000))


WRITERS: Final[dict[str, Callable[[Path], object]]] = {
    **{
        suffix: lambda folder, suffix=suffix: write_predictions(folder, suffix)  # type: ignore[misc]
        for suffix in (".json", ".csv", ".parquet")
    },
    "drawn": write_drawn,
    "plot": lambda folder: plot_prediction(folder / "made.png", PREDICTED),
    "page": lambda folder: write_page(folder / "made.html", "title", [PageSection("one", [])]),
    "table": lambda folder: SKIPPED.write(folder / "made.parquet", SKIPPED.frame([])),
    "text": lambda folder: write_text(folder / "made.csv", "x" * 1000),
    "model": lambda folder: write_model(
        folder, "head", {"weight": torch.zeros(1000)}, description={}, metadata={}
    ),
    "h5": lambda folder: write_features(folder, "h5"),
    "zarr": lambda folder: write_features(folder, "zarr"),
    "folder": write_packed,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder; a clip lies beside it."""
    write_video(tmp_path / "clip.mp4", [0.0, 0.5], [plain(100)] * 2)
    (tmp_path / "made").mkdir()
    return tmp_path / "made"


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_leaves_no_half_file_and_is_named(folder: Path, writer: str) -> None:
    with full_disk(), pytest.raises((OSError, UserError)) as caught:
        WRITERS[writer](folder)
    error = caught.value
    sentence = explain_os_error(error) if isinstance(error, OSError) else str(error)
    assert "File too large" in sentence
    assert str(folder) in sentence
    assert "unfinished" not in sentence
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_json_lines_keep_the_whole_lines(folder: Path) -> None:
    target = folder / "made.jsonl"
    with pytest.raises(OSError, match=r"made\.jsonl"), open_output(target) as take:  # noqa: PT012
        take(PREDICTED)
        whole = target.read_text()
        with full_disk():
            take(PREDICTED)
    assert target.read_text() == whole
    assert whole.endswith("\n")


def test_json_lines_over_a_longer_file_leave_no_zeros(folder: Path) -> None:
    target = folder / "made.jsonl"
    target.write_text("of an earlier run\n" * 1000)
    with pytest.raises(OSError, match=r"made\.jsonl"), open_output(target) as take, full_disk():
        take(PREDICTED)
    assert target.read_bytes() == b""


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free space"),
        (errno.EDQUOT, "raise your quota"),
        (errno.EROFS, "Give yourself the right"),
        (errno.EACCES, "name another place"),
        (errno.ENOTDIR, "Move what is there away"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOMEM, "num_workers"),
        (errno.EIO, "network drive"),
        (errno.ELOOP, "Mend that"),
    ],
)
def test_a_sentence_has_place_problem_and_remedy(number: int, advice: str) -> None:
    sentence = explain_os_error(OSError(number, os.strerror(number), "data/x.csv"))
    assert sentence.startswith(f"data/x.csv: {os.strerror(number)}. ")
    assert advice in sentence


def test_a_library_that_tells_in_words_alone_is_understood() -> None:
    error = OSError("Error writing bytes: No space left on device")
    assert "Free space" in explain_os_error(error)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("Do this."), "Do this."),
        (OSError(errno.ENOSPC, "full", "x"), "x: No space left on device. Free space"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_can_be_mended_ends_with_a_sentence_and_exit_code_2(
    error: Exception, said: str
) -> None:
    sentences: list[str] = []
    with pytest.raises(SystemExit) as ended, ended_by_a_sentence(sentences.append):
        raise error
    assert ended.value.code == 2
    assert said in sentences[0]


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(KeyError), ended_by_a_sentence(lambda _: None):
        raise KeyError("x")


def shell(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of a shell with the installed `oragen` in this project."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command], cwd=REPOSITORY, text=True, capture_output=True, check=False,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(REPOSITORY)} | environment,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_has_no_character_for_is_shown_as_an_escape(encoding: str) -> None:
    run = shell("oragen corpora list timit", PYTHONIOENCODING=encoding)
    assert run.returncode == 0
    assert "Traceback" not in run.stderr
    code = (
        "from oragen.schema.ending import ended_by_a_sentence as end\n"
        "with end(print): print('clip \\u65e5: female')"
    )
    run = shell(f'python -c "{code}"', PYTHONIOENCODING=encoding)
    assert (run.stdout, run.returncode) == ("clip \\u65e5: female\n", 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "exit_code", "said"),
    [
        ("| true", 1, ""),
        ("> /dev/full", 2, "standard output: No space left on device. Free space"),
        (">&-", 0, ""),
    ],
)
def test_a_reader_that_goes_away_or_takes_nothing_is_no_traceback(
    ending: str, exit_code: int, said: str
) -> None:
    run = shell(f"set -o pipefail; oragen corpora list {ending}", COLUMNS="300")
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr
    assert said in run.stderr
    assert run.returncode == exit_code


def test_a_gpu_that_is_not_there_is_one_sentence() -> None:
    count = torch.cuda.device_count()
    message = f"The device cuda:{count} is a GPU, and {count} can be used here"
    with pytest.raises(DeviceError, match=message):
        choose_device(f"cuda:{count}")


@pytest.mark.parametrize("name", ["tpu", "", "cuda:x", "meta", "mps"])
def test_a_device_that_is_not_known_is_one_sentence(name: str) -> None:
    with pytest.raises(DeviceError, match="name auto, cpu, cuda, cuda:1"):
        choose_device(name)


def test_doctor_looks_whether_data_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    finding = check_disk(tmp_path / "data", 10**12)
    assert (finding.state, finding.found) == ("problem", "no folder")
    assert check_disk(tmp_path / "new" / "data", 10**12).state == "ok"
