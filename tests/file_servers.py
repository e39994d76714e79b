"""Servers on this machine: of files, and of a model as the hub serves it."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "c" * 40


class QuietHandler(BaseHTTPRequestHandler, ABC):
    """Answers with bytes, and writes no log."""

    commit = COMMIT

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    @abstractmethod
    def answer(self) -> None:
        """Send what was asked for."""

    def send(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hash_of(content)}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class HubServer:
    """Where it listens, and the files that were downloaded."""

    address: str = ""
    fetched: set[str] = field(default_factory=set)
    breaks_off: bool = False


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve files by their names; yield the address before the names."""

    class Handler(QuietHandler):
        def answer(self) -> None:
            content = files.get(self.path.removeprefix("/"))
            if content is None:
                self.send_error(404)
            else:
                self.send(content)

    with _listen(Handler) as address:
        yield address


@contextmanager
def serve_model(name: str, files: Mapping[str, bytes], commit: str = COMMIT) -> Iterator[HubServer]:
    """Serve a public repository with these files as the Hugging Face hub does."""
    server = HubServer()
    information = {"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]}
    tree = [
        {
            "type": "file",
            "path": file,
            "size": len(content),
            "oid": hashlib.sha1(content).hexdigest(),
        }
        for file, content in files.items()
    ]

    class Handler(QuietHandler):
        def answer(self) -> None:
            path = self.path.partition("?")[0].strip("/")
            if server.breaks_off and path:
                self.close_connection = True
            elif path.startswith(f"{name}/resolve/"):
                file = path.split("/", 4)[4]
                if self.command == "GET":
                    server.fetched.add(file)
                self.send(files[file])
            else:
                is_tree = path.startswith(f"api/models/{name}/tree/")
                self.send(json.dumps(tree if is_tree else information).encode())

    Handler.commit = commit
    with _listen(Handler) as address:
        server.address = address
        yield server


def hash_of(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def _listen(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
