"""A stage that a fork of a warm server runs behaves as one in an interpreter of its own."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stages.warm.protocol import describe_start
from tests.project import REPOSITORY

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or Path("/dev/nvidiactl").exists(), reason="stages start by themselves"
)

SAYS_ORAGEN = 'import os\nos.environ["SILENT"] = "1"\n'
LIGHT_LIBRARY = 'import os\nwas_silent = os.environ.get("SILENT")\n'
LIBRARIES = 'LIGHT = ("light_library",)\nHEAVY = ("torch",)\n'
STAGE = """
import os, signal, sys, threading
how = "fork" if "light_library" in sys.modules else "start"
match sys.argv[1]:
    case "fail":
        raise ValueError("broken")
    case "wait":
        print(how, os.getpid(), os.getpgrp(), flush=True)
        threading.Event().wait()
    case "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    case "compute":
        import torch
        values = torch.linspace(0, 1, 300_000).sin().reshape(300, 1000)
        threads = torch.get_num_threads()
        print(how, threads, (values @ values.T).sum(dim=0).numpy().tobytes().hex())
    case code:
        for stream in (sys.stdout, sys.stderr):
            assert not stream.seekable()
        sys.stdout.reconfigure(errors="backslashreplace")
        import light_library
        assert light_library.was_silent or "DVC_STAGE" not in os.environ
        print(how, __name__, __file__, sys.argv[1:], os.getcwd(), sys.path[0], sys.stdin.read())
        print(os.environ["WORD"], os.environ["DVC_STAGE"], sys.stdout.isatty())
        print("to the other", file=sys.stderr)
        threading.Timer(0.05, print, ["late"]).start()
        sys.exit(int(code))
"""
OWNER = """
import json, signal, subprocess, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)  # they are ignored under nohup, and in the background
for line in sys.stdin:
    command, environment, text = json.loads(line)
    started = subprocess.Popen(
        command, env=environment, stdin=-1, stdout=-1, stderr=-1, text=True, process_group=0
    )
    if text is None:  # it waits for a signal
        print(json.dumps([started.pid, started.stdout.readline()]), flush=True)
    output, error = started.communicate(text)
    print(json.dumps([started.returncode, output, error]), flush=True)
"""


@dataclass
class Dvc:
    """A process that runs stages, as DVC does."""

    folder: Path
    environment: dict[str, str]
    process: "subprocess.Popen[str]" = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER], cwd=self.folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **changes: str) -> tuple[int, str, str]:
        """Run a stage to its end; return its exit code and what it printed."""
        self.ask("typed", *arguments, **changes)
        code, output, error = self.read()
        return code, output, error

    def ask(self, text: str | None, *arguments: str, **changes: str) -> None:
        """Have a stage started; without a text for its input, `read` gives its process first."""
        command = [sys.executable, "-m", "stages.speak", *arguments]
        if text is not None:  # DVC starts a shell, which may or may not start a process
            command = ["/bin/sh", "-c", shlex.join(command)]
        assert self.process.stdin is not None
        request = [command, self.environment | changes, text]
        print(json.dumps(request), file=self.process.stdin, flush=True)

    def read(self) -> Any:
        """Read what the process tells of a stage."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def is_fork(self, **changes: str) -> bool:
        """Run a stage; return whether a fork ran it."""
        return self.run("0", **changes)[1].startswith("fork")

    def find_socket(self) -> Path | None:
        """Return the address of the server; None if there is none."""
        found = [*Path(self.environment["TMPDIR"]).glob(f"oragen-*/{self.process.pid}-*")]
        return next((path for path in found if path.is_socket()), None)

    def warm_up(self) -> None:
        """Run a stage, which starts the server, and wait for the server."""
        assert not self.is_fork()
        wait_until(lambda: self.find_socket() is not None)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it has not come")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a stage of its own, and what starts stages in the real one."""
    folder = tmp_path_factory.mktemp("warm")
    (folder / "tmp").mkdir()
    shutil.copytree(REPOSITORY / "stages" / "warm", folder / "stages" / "warm")
    shutil.copy(REPOSITORY / "stages" / "__init__.py", folder / "stages")
    (folder / "stages" / "warm" / "libraries.py").write_text(LIBRARIES)
    (folder / "stages" / "speak.py").write_text(STAGE)
    (folder / "oragen.py").write_text(SAYS_ORAGEN)
    (folder / "light_library.py").write_text(LIGHT_LIBRARY)
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "DVC_STAGE": "speak", "PYTHONPATH": str(folder), "TMPDIR": str(folder / "tmp"),
        "WORD": "hello", "ORAGEN_WARM": "1",
    }  # fmt: skip


@pytest.fixture(scope="module")
def dvc(folder: Path, environment: dict[str, str]) -> Iterator[Dvc]:
    """A run of DVC whose server is there."""
    dvc = Dvc(folder, environment)
    dvc.warm_up()
    yield dvc
    dvc.end()


@pytest.fixture
def another(folder: Path, environment: dict[str, str]) -> Iterator[Dvc]:
    """A run of DVC that has not started any stage."""
    dvc = Dvc(folder, environment)
    yield dvc
    dvc.end()


@pytest.mark.parametrize("exit_code", [0, 7])
def test_a_stage_has_what_its_caller_gives_it(dvc: Dvc, folder: Path, exit_code: int) -> None:
    code, output, error = dvc.run(str(exit_code), "b", DVC_STAGE="other")
    file = folder / "stages" / "speak.py"
    assert output == (
        f"fork __main__ {file} {[str(exit_code), 'b']} {folder} {folder} typed\n"
        "hello other False\nlate\n"
    )
    assert error == "to the other\n"
    assert code == exit_code


def test_an_error_and_a_crash_end_as_they_would(dvc: Dvc) -> None:
    code, _, error = dvc.run("fail")
    assert code == 1
    assert error.endswith("ValueError: broken\n")
    assert dvc.run("die")[0] in (-signal.SIGSEGV, 128 + signal.SIGSEGV)  # as the shell says it


def test_a_stage_runs_by_itself_where_a_fork_would_differ(
    dvc: Dvc, environment: dict[str, str]
) -> None:
    assert dvc.is_fork()
    assert not dvc.is_fork(ORAGEN_WARM="0")
    assert not dvc.is_fork(OMP_NUM_THREADS="1")  # libraries may have read it
    assert not dvc.is_fork(TMPDIR="/nowhere")
    assert dvc.is_fork(OLDPWD="/", DVC_ROOT="/")
    without = {name: text for name, text in environment.items() if name != "DVC_STAGE"}
    command = [sys.executable, "-m", "stages.speak", "0"]
    done = subprocess.run(
        command, env=without | {"DVC_STAGE_": ""}, cwd=dvc.folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("start")


@pytest.mark.slow
def test_a_fork_computes_with_all_threads_to_the_same_bit(dvc: Dvc) -> None:
    forked = dvc.run("compute")[1].split()
    alone = dvc.run("compute", ORAGEN_WARM="0")[1].split()
    assert (forked[0], alone[0]) == ("fork", "start")
    assert forked[1:] == alone[1:]


# -- Ends and signals ------------------------------------------------------------------------------


class Waiting(NamedTuple):
    """A stage that waits: what DVC has started, and the fork that does the work."""

    caller: int
    fork: int


def start_waiting(dvc: Dvc) -> Waiting:
    dvc.ask(None, "wait")
    caller, line = dvc.read()
    how, fork, group = line.split()
    assert (how, int(group)) == ("fork", caller)  # so a terminal reaches both
    return Waiting(caller, int(fork))


def is_gone(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_reaches_the_fork_and_its_end_the_caller(dvc: Dvc, number: signal.Signals) -> None:
    waiting = start_waiting(dvc)
    os.kill(waiting.caller, number)
    code, _, error = dvc.read()
    assert code == -number
    assert ("KeyboardInterrupt" in error) == (number == signal.SIGINT)
    assert is_gone(waiting.fork)


def test_a_terminal_interrupts_the_fork_once(dvc: Dvc) -> None:
    waiting = start_waiting(dvc)
    os.kill(waiting.fork, signal.SIGINT)  # as a terminal does, beside the caller
    code, _, error = dvc.read()
    assert code == -signal.SIGINT
    assert error.count("KeyboardInterrupt") == 1


def test_a_fork_ends_with_its_caller_and_a_caller_with_its_fork(dvc: Dvc) -> None:
    waiting = start_waiting(dvc)
    os.kill(waiting.caller, signal.SIGKILL)
    assert dvc.read()[0] == -signal.SIGKILL
    wait_until(lambda: is_gone(waiting.fork))
    waiting = start_waiting(dvc)
    os.kill(waiting.fork, signal.SIGKILL)
    assert dvc.read()[0] == -signal.SIGKILL


@pytest.mark.slow
def test_a_fork_ends_if_what_watches_it_is_killed(dvc: Dvc) -> None:
    waiting = start_waiting(dvc)
    _, watcher, _ = describe_start(waiting.fork)
    os.kill(watcher, signal.SIGKILL)
    assert dvc.read()[0] == -signal.SIGKILL
    wait_until(lambda: is_gone(waiting.fork))


def test_a_server_ends_with_dvc(another: Dvc) -> None:
    another.warm_up()
    address = another.find_socket()
    assert address is not None
    another.end()
    wait_until(lambda: not address.exists() and not address.with_suffix(".lock").exists())


def test_a_server_that_was_killed_is_started_again(another: Dvc) -> None:
    another.warm_up()
    address = another.find_socket()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if file.read_text().endswith(f"server.py\0{address}\0{another.process.pid}\0"):
                os.kill(int(file.parent.name), signal.SIGKILL)
    assert not another.is_fork()
    wait_until(another.is_fork)


def test_a_library_that_has_changed_is_loaded_again(another: Dvc, folder: Path) -> None:
    another.warm_up()
    assert another.is_fork()
    os.utime(folder / "light_library.py")
    assert not another.is_fork()
    assert not another.is_fork()  # which starts the next server
    wait_until(another.is_fork)


def test_a_folder_that_others_may_write_into_is_not_used(another: Dvc, tmp_path: Path) -> None:
    (tmp_path / f"oragen-{os.getuid()}").mkdir(mode=0o755)
    assert not another.is_fork(TMPDIR=str(tmp_path))
    assert [*tmp_path.rglob("*")] == [tmp_path / f"oragen-{os.getuid()}"]


@pytest.mark.slow
def test_the_real_libraries_are_all_that_stages_load_and_start_no_thread() -> None:
    code = f"""
import pathlib, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from stages.warm.libraries import HEAVY, LIGHT
from stages.warm.server import load
load((*LIGHT, *HEAVY))
before = {{name.partition('.')[0] for name in sys.modules}}
threads = [file.read_text() for file in pathlib.Path('/proc/self/task').glob('*/comm')]
assert 'oragen' not in before
for path in (pathlib.Path({str(REPOSITORY)!r}) / 'stages').glob('*.py'):
    if path.stem not in ('__init__', 'running', 'extracting'):
        __import__(f'stages.{{path.stem}}')
after = {{name.partition('.')[0] for name in sys.modules}} - {{*sys.stdlib_module_names}}
print(len([name for name in threads if not name.startswith('jemalloc')]))
print(sorted(after - before - {{'oragen', 'stages'}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout == "1\n[]\n"
