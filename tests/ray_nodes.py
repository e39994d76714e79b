"""A Ray cluster of several nodes on this machine; each has a temporary folder of its own."""

import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil


class Nodes:
    """A context manager: a head, and more nodes; each has one core."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._folder = Path(tempfile.mkdtemp(prefix="nodes-", dir="/tmp"))  # sockets: a short path
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Nodes":
        self._start("--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=0")
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self._started):
            self.kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self) -> "subprocess.Popen[str]":
        """Start one more node."""
        return self._start(f"--address={self.address}")

    def _start(self, *options: str) -> "subprocess.Popen[str]":
        node = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1",
                "--node-ip-address=127.0.0.1", "--object-store-memory=80000000",
                f"--temp-dir={self._folder / str(len(self._started))}", "--disable-usage-stats",
                *options,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self._started.append(node)
        assert node.stdout is not None
        seen = []
        for line in node.stdout:
            seen.append(line)
            if "Ray runtime started" in line:
                return node
        raise AssertionError("".join(seen))

    def kill(self, node: "subprocess.Popen[str]") -> None:
        """End a node and its workers at once, as `kill -9`."""
        with suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(node.pid).children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        node.kill()
        node.wait()
        if node.stdout is not None:
            node.stdout.close()
