"""`oragen serve` as a user starts it, on any free port."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import requests

ORAGEN: Final = (sys.executable, "-c", "from oragen.cli import run; run()")

BOUNDARY: Final = "b"
PART: Final = (
    f"--{BOUNDARY}\r\nContent-Disposition: form-data; name={{name}}; filename={{filename}}\r\n"
    "{more}\r\n"
)
FILE: Final = PART.format(name='"file"', filename='"clip.mp4"', more="")


@dataclass(frozen=True)
class Served:
    """A service that runs."""

    process: "subprocess.Popen[str]"
    address: str
    spool_parent: Path  # where its uploads lie, in a folder of their own

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.address + path, timeout=60, **options)

    def predict(self, clip: Path, *, wait_s: float = 60, **fields: str) -> requests.Response:
        with clip.open("rb") as file:
            return self.ask(
                "POST", f"/v1/predictions?wait_s={wait_s}", files={"file": file}, data=fields
            )

    def upload_endlessly(self, num_bytes: int) -> tuple[requests.Response | None, int]:
        """Send a file without saying its length; return the response, and how much was sent.

        There is none if the service has closed the connection meanwhile.
        """
        sent = 0

        def content() -> Iterator[bytes]:
            nonlocal sent
            yield FILE.encode()
            while sent < num_bytes:
                sent += 10**6
                yield bytes(10**6)

        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        try:
            answer = self.ask("POST", "/v1/predictions", data=content(), headers=headers)
        except requests.ConnectionError:
            return None, sent
        return answer, sent

    def send(self, content: bytes, *, timeout_s: float = 30) -> bytes:
        """Send bytes that no client would, and return all that comes until the end."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        answer = b""
        with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
            with suppress(ConnectionError):  # the service may not read all of it
                connection.sendall(content)
            with suppress(ConnectionError):
                while piece := connection.recv(2**16):
                    answer += piece
        return answer

    def memory_mb(self) -> float:
        """Return what the service itself has in memory, in MB; decoders are other processes."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def metric(self, name: str, **labels: str) -> float:
        """Return a value of /metrics; 0 where nothing was counted."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        for line in self.ask("GET", "/metrics").text.splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            labels_of = set((found[2] or "").split(",")) if found else set()
            if found and found[1] == name and labels_of == (wanted or {""}):
                return float(found[3])
        return 0.0

    def uploads(self) -> list[Path]:
        """Return all files that the service keeps of uploads."""
        return [path for path in self.spool_parent.rglob("*") if path.is_file()]

    def decoders(self) -> list[psutil.Process]:
        """Return the processes that decode clips."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "child.py" in " ".join(child.cmdline())]


@contextmanager
def serve(
    model: Path,
    folder: Path,
    *options: str,
    command: Sequence[str] = ORAGEN,
    stderr: int | None = None,
) -> Iterator[Served]:
    """Start the service and wait until its model is loaded; end it as Ctrl-C does."""
    with start(model, folder, *options, command=command, stderr=stderr) as process:
        try:
            served = Served(process, read_address(process), folder)
            _wait_until_ready(served)
            yield served
        finally:
            process.terminate()


def read_address(process: "subprocess.Popen[str]") -> str:
    """Return the address that the service prints, without its token."""
    assert process.stdout is not None
    for said in process.stdout:
        if found := re.search(r"http://[^\s#]+", said):
            return found[0].rstrip("/")
    raise AssertionError("the service has ended")


def start(
    model: Path,
    folder: Path,
    *options: str,
    stderr: int | None = None,
    command: Sequence[str] = ORAGEN,
) -> "subprocess.Popen[str]":
    """Start the command; uploads lie in `folder`."""
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [*command, "serve", "--model", str(model), "--port", "0", *options],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        cwd=folder, stdout=subprocess.PIPE, stderr=stderr, text=True,
    )  # fmt: skip


def _wait_until_ready(served: Served) -> None:
    until = time.monotonic() + 120
    while served.ask("GET", "/readyz").status_code != 200:
        assert time.monotonic() < until, "the model is not loaded"
        assert served.process.poll() is None, "the service has ended"
        time.sleep(0.1)
