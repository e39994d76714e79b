"""A fork of a warm interpreter behaves as a new one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import warm_interpreter

STAGE = """
import os, sys, threading
if sys.argv[1] == "fail":
    raise ValueError("broken")
if sys.argv[1] == "wait":
    print(os.getpid(), flush=True)
    threading.Event().wait()
print(__name__, __file__, sys.argv[1:], os.getcwd(), os.environ["WORD"], sys.stdin.read())
print("to the other", file=sys.stderr)
threading.Timer(0.05, print, ["late"]).start()
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a package `stages` of its own."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").touch()
    (tmp_path / "stages" / "speak.py").write_text(STAGE)
    return tmp_path


def ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(warm_interpreter.start() / "python"), *arguments],
        cwd=folder, env=os.environ | {"WORD": "hello"}, input="typed",
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("exit_code", [0, 7])
def test_a_stage_of_the_callers_folder_runs_with_what_the_caller_has(
    folder: Path, exit_code: int
) -> None:
    done = ask(folder, "-m", "stages.speak", str(exit_code), "b c")
    file = folder / "stages" / "speak.py"
    said = f"__main__ {file} {[str(exit_code), 'b c']} {folder} hello typed\nlate\n"
    assert done.stdout == said
    assert done.stderr == "to the other\n"
    assert done.returncode == exit_code


def test_an_error_is_a_traceback_and_exit_code_1(folder: Path) -> None:
    done = ask(folder, "-m", "stages.speak", "fail")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: broken\n")


def test_whatever_is_no_stage_goes_to_the_real_interpreter(folder: Path) -> None:
    done = ask(folder, "-c", "import sys; print(sys.executable, 'torch' in sys.modules)")
    assert done.stdout == f"{sys.executable} False\n"


def test_a_stage_ends_with_who_asked_for_it(folder: Path) -> None:
    command = [str(warm_interpreter.start() / "python"), "-m", "stages.speak", "wait"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as asker:
        assert asker.stdout is not None
        stage = int(asker.stdout.readline())
        asker.send_signal(signal.SIGKILL)
    for _ in range(500):
        if not Path(f"/proc/{stage}").exists():
            return
        time.sleep(0.02)
    raise AssertionError(f"process {stage} is still there")
