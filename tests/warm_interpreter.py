"""`python -m stages.<stage>`, `oragen` and `dvc` -> forks of a process that has imported torch.

Importing what a stage needs takes seconds, and the tests start some hundred stages. A server
imports every library that the code names, never the code itself. `python`, `oragen` and `dvc` in
the folder that `start` returns hand their arguments, folder, environment and open files to the
server, and exit as its fork does. The fork runs the code of the caller's folder and PYTHONPATH.
Everything else that is asked of `python` goes to the real one.

What a fork cannot show: another seed of `hash` (all forks share the server's), and more than one
thread of OpenMP. Tests marked `slow` start the real interpreter.
"""

import ast
import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

REPOSITORY: Final = Path(__file__).parents[1]
OURS: Final = ("oragen", "stages", "tests", "benchmarks")
NOT_BEFORE_A_FORK: Final = ("onnxruntime",)  # starts a thread when it is imported
DVC: Final = (
    "dvc.cli.parser", "dvc.data_cloud", "dvc.dvcfile", "dvc.parsing", "dvc.repo.reproduce",
    "dvc.repo.experiments.queue.celery", "dvc.rwlock", "dvc.stage.run", "dvc_data.index",
)  # fmt: skip
ALLOWED_THREADS: Final = Counter({"python": 1, "jemalloc_bg_thd": 1})  # the latter is pyarrow's
COMMANDS: Final = {"python": ("", ""), "oragen": ("oragen.cli", "run"), "dvc": ("dvc.cli", "main")}
LENGTH: Final = struct.Struct("!I")
# A pool of threads does not outlive a fork: the server must never make one.
SINGLE_THREAD: Final = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
SHIM: Final = """\
#!{python} -IS
import json, os, socket, struct, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
if name == "python" and not (arguments[:1] == ["-m"] and arguments[1:2][0].startswith("stages.")):
    os.execv({python!r}, [{python!r}, *arguments])
request = [name, arguments, os.getcwd(), dict(os.environ)]
content = json.dumps(request).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [struct.pack("!I", len(content))], [0, 1, 2])
    server.sendall(content)
    answer = server.recv(4)
os._exit(struct.unpack("!i", answer)[0] if answer else 1)
"""


# -- in the process of the tests -------------------------------------------------------------------


@functools.cache
def start() -> Path:
    """Return the folder to put first in PATH; the first process of a test run starts the server."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    owner = os.getppid() if is_worker else os.getpid()  # all workers have one parent
    folder = Path(tempfile.gettempdir()) / f"warm-{owner}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_served(folder / "socket"):
            _start_server(folder, owner)
    return folder


def _is_served(address: Path) -> bool:
    """Return whether a server listens; what another one left, which was killed, is removed."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(address))
        except OSError:
            address.unlink(missing_ok=True)
            return False
    return True


def _start_server(path: Path, owner: int) -> None:
    """Start a server that ends with the process `owner`, and removes the folder."""
    address = path / "socket"
    for name in COMMANDS:
        shim = path / name
        shim.write_text(SHIM.format(python=sys.executable, address=str(address)))
        shim.chmod(0o755)
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, __file__, str(address), str(owner)],
        env=environment | SINGLE_THREAD, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    with server.stdout as said:
        is_ready = said.readline() == b"ready\n"
    server.wait()  # for the process that has forked the server
    if not is_ready:
        raise RuntimeError(f"{__file__} ended before it was ready; see its error above")


# -- in the server ---------------------------------------------------------------------------------


def import_libraries() -> None:
    """Import DVC, and run every import of a library that stands in the code, wherever it stands."""
    for module in DVC:
        importlib.import_module(module)
    for folder in ("oragen", "stages"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            for statement in _imports_of(path):
                with contextlib.suppress(ImportError):  # an extra that is not installed
                    exec(compile(ast.Module([statement], []), str(path), "exec"), {})


def _imports_of(path: Path) -> Iterator[ast.stmt]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=[ast.alias(name=module)]):
                pass
            case ast.ImportFrom(module=str(module), level=0):
                pass
            case _:
                continue
        if module.partition(".")[0] not in (*OURS, *NOT_BEFORE_A_FORK):
            yield node


def threads() -> Counter[str]:
    """Count the threads of this process by name."""
    return Counter(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))


def serve(address: str, owner: int) -> list[Any]:
    """Answer requests until the owner ends; return a request in the process that runs it."""
    ended = os.pidfd_open(owner)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)  # noqa: T201
        while True:
            ready, _, _ = select.select([listener.fileno(), ended], [], [])
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if ended in ready:
                shutil.rmtree(Path(address).parent, ignore_errors=True)
                sys.exit()
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                return attend(connection)
            connection.close()


def attend(connection: socket.socket) -> list[Any]:
    """Fork once more, to run what is asked; wait for it here, and send its exit code."""
    start, files, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
    content = b""
    while len(content) < LENGTH.unpack(start)[0]:
        content += connection.recv(2**16)
    worker = os.fork()
    if worker == 0:
        connection.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        request: list[Any] = json.loads(content)
        return request
    for file in files:
        os.close(file)
    ended = os.pidfd_open(worker)
    ready, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in ready:  # the caller was killed
        os.kill(worker, signal.SIGKILL)
    exit_code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(struct.pack("!i", exit_code if exit_code >= 0 else 128 - exit_code))
    os._exit(0)


def run(name: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Become the command, as a new interpreter would."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    added = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [folder, *filter(None, added)] if name == "python" else [*filter(None, added)]
    importlib.invalidate_caches()
    import numpy as np

    np.random.seed()  # noqa: NPY002 - what no fork must inherit; `random` sees to itself
    import torch

    torch.set_num_threads(torch.get_num_threads())  # the pool is made anew, by one thread
    if name == "python":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [name, *arguments]
        module, function = COMMANDS[name]
        sys.exit(getattr(importlib.import_module(module), function)())


def run_to_the_end(*request: Any) -> NoReturn:
    """Run a command and exit as an interpreter does, but for taking a thousand modules apart."""
    exit_code = 0
    try:
        run(*request)
    except SystemExit as ended:
        match ended.code:
            case None:
                pass
            case int(code):
                exit_code = code
            case text:
                print(text, file=sys.stderr)  # noqa: T201
                exit_code = 1
    except BaseException:
        traceback.print_exc()
        exit_code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    if os.fork():
        os._exit(0)  # nobody waits for the server
    sys.path.pop(0)  # the folder of this file
    import_libraries()
    assert threads() <= ALLOWED_THREADS, "a library started a thread"
    assert not [name for name in sys.modules if name.partition(".")[0] in OURS]
    gc.freeze()  # a collection in a fork would copy every page
    run_to_the_end(*serve(sys.argv[1], int(sys.argv[2])))
