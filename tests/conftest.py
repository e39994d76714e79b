"""What all tests share."""

import os
import tempfile
from pathlib import Path

# What this machine keeps of models must not decide what tests find; so it is looked for elsewhere.
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir()) / "oragen-tests-keep-nothing-here")
# For torch, and for what tests start. Threads that wait by spinning: see stages/__init__.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browsing import App
    from tests.convert_command import Convert
    from tests.template_project import Template


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> int:
    """Tiny tensors gain nothing from threads, and lose seconds where others use the cores too.

    As do tiny matrices: a QR factorisation of 256 x 256 takes 5 ms with one thread of OpenBLAS,
    and 180 ms with two on two busy cores; an embedded encoder needs six.

    Returns how many threads torch would have; a test that needs them asks for `all_threads`.
    """
    import torch  # not in the process that hands the tests out to others
    from threadpoolctl import threadpool_limits

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    return num_threads


@pytest.fixture
def all_threads(one_thread: int) -> Iterator[None]:
    """For tests of what threads may change."""
    import torch

    torch.set_num_threads(one_thread)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> "Template":
    """A project that has run to its report; copy it before you change anything."""
    from tests import template_project

    return template_project.make_once(tmp_path_factory)


@pytest.fixture
def convert(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> "Convert":
    """Run `oragen convert` in a folder, as a user types it."""
    from tests.convert_command import type_command

    monkeypatch.chdir(tmp_path)
    return type_command(monkeypatch, capsys)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator["App"]:
    """`oragen serve` with a small model."""
    from tests.browsing import serve_app

    with serve_app(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium. While it runs, the thread has a running loop of asyncio: so not for all tests."""
    from tests.browsing import start_chromium

    with start_chromium() as running:
        yield running
