"""Servers on this machine: of files, and of a model as the hub serves it."""

import base64
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
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

    def send(self, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hash_of(content)}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if self.command != "HEAD":
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


@dataclass
class HubInbox:
    """A hub that takes a model: what it was asked for, and the files that it got."""

    address: str = ""
    is_private: bool | None = None  # None: there is no such repository yet
    tokens: set[str | None] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    refusal: tuple[str, int] | None = None  # part of an address, and the status that it gives


@contextmanager
def take_model(name: str) -> Iterator[HubInbox]:  # noqa: C901  # one method a request
    """Take a model as the Hugging Face hub does: create a repository, then one commit.

    Files are sent as they are and none by LFS, which the hub decides.
    """
    inbox = HubInbox()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            inbox.tokens.add(self.headers.get("Authorization"))
            path = self.path.partition("?")[0]
            answers: dict[str, Callable[[bytes], None]] = {
                "/api/repos/create": self._create,
                "/api/validate-yaml": lambda _: self._say({"errors": [], "warnings": []}),
                f"/api/models/{name}": self._describe,
                f"/api/models/{name}/preupload/main": self._plan,
                f"/api/models/{name}/commit/main": self._commit,
            }
            if inbox.refusal and inbox.refusal[0] in path:
                self.send_error(inbox.refusal[1])
            else:
                answers[path](body)

        def _describe(self, _: bytes) -> None:
            if inbox.is_private is None:
                self.send_error(404)
            else:
                self._say({"id": name, "private": inbox.is_private, "sha": self.commit})

        def _plan(self, body: bytes) -> None:
            ways = {"uploadMode": "regular", "shouldIgnore": False}
            files = json.loads(body)["files"]
            self._say({"files": [{"path": file["path"], **ways} for file in files]})

        def _create(self, body: bytes) -> None:
            if inbox.is_private is not None:
                self._say({"url": f"{inbox.address}/{name}"}, 409)
                return
            wanted = json.loads(body)
            assert f"{wanted['organization']}/{wanted['name']}" == name
            inbox.is_private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
            self._say({"url": f"{inbox.address}/{name}"})

        def _commit(self, body: bytes) -> None:
            operations = [json.loads(line) for line in body.splitlines()]
            inbox.files |= {
                operation["value"]["path"]: base64.b64decode(operation["value"]["content"])
                for operation in operations
                if operation["key"] == "file"
            }
            address = f"{inbox.address}/{name}/commit/{self.commit}"
            self._say({"commitUrl": address, "commitOid": self.commit, "success": True})

        def _say(self, answer: object, status: int = 200) -> None:
            self.send(json.dumps(answer).encode(), status)

    with _listen(Handler) as address:
        inbox.address = address
        yield inbox


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
