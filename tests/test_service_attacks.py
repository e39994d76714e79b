"""Requests that mean harm, and many at once: each ends in a sentence, and the service goes on."""

import json
import logging
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.predict_command import write_clips
from tests.serving import BOUNDARY, FILE, PART, Served, serve
from tests.small_models import save_model

pytestmark = pytest.mark.slow
logger = logging.getLogger(__name__)  # --log-cli-level=INFO shows the figures

MAX_UPLOAD_MB = 512
END = f"\r\n--{BOUNDARY}--\r\n"
FLAT_MB = 60.0  # an upload of 512 MB in memory would show
NUM_UPLOADS = 80
TELLING = "Ivanova-private-interview"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_clips(tmp_path_factory.mktemp("clips"))
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:5,\nfile:///etc/hostname\n")
    (folder / "concat.mp4").write_text("ffconcat version 1.0\nfile /etc/hostname\n")
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    model = save_model(tmp_path_factory.mktemp("model"))
    options = ("--max-upload-mb", str(MAX_UPLOAD_MB), "--queue", "16")
    with serve(model, tmp_path_factory.mktemp("spool"), *options) as running:
        yield running


@pytest.fixture(autouse=True)
def it_goes_on(served: Served, clips: Path) -> Iterator[None]:
    """After each attack a clip is predicted, and no more is kept than of that."""
    before = len(served.uploads())
    yield
    answer = served.predict(clips / "still.png")
    assert answer.json()["state"] == "done"
    served.ask("DELETE", answer.headers["Location"])
    assert len(served.uploads()) == before


def make_request(body: str, *headers: str, length: int | None = None) -> bytes:
    """Return a request as it goes through a socket; `length` may lie."""
    size = len(body.encode()) if length is None else length
    lines = [
        "POST /v1/predictions?wait_s=60 HTTP/1.1", "Host: localhost",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}", f"Content-Length: {size}",
        "Connection: close", *headers, "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body.encode()


def read_problem(answer: bytes) -> tuple[int, str]:
    """Return status and sentence of a response as it came."""
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1.1 (\d+) ", head)
    assert found, answer[:200]
    assert b"application/problem+json" in head, head
    return int(found[1]), json.loads(body)["detail"]


def test_many_uploads_by_8_clients_are_answered_or_refused_and_memory_stays(
    served: Served, clips: Path
) -> None:
    statuses: Counter[int] = Counter()
    memory_mb: dict[int, float] = {0: served.memory_mb()}
    predictions: set[str] = set()
    left = list(range(NUM_UPLOADS))
    lock = threading.Lock()

    def ask() -> None:
        while True:
            with lock:
                if not left:
                    return
                left.pop()
            answer = served.predict(clips / "talk.mp4")
            with lock:
                statuses[answer.status_code] += 1
                done = sum(statuses.values())
                if done in (NUM_UPLOADS // 2, NUM_UPLOADS):
                    memory_mb[done] = served.memory_mb()
                if answer.status_code == 200:
                    predictions.add(json.dumps(answer.json()["prediction"], sort_keys=True))
                    served.ask("DELETE", answer.headers["Location"])

    clients = [threading.Thread(target=ask) for _ in range(8)]
    began = time.monotonic()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.monotonic() - began
    logger.info("uploads by 8: %s, %.1f s, MB %s", dict(statuses), seconds, memory_mb)
    assert sum(statuses.values()) == NUM_UPLOADS
    assert set(statuses) <= {200, 503}
    assert len(predictions) == 1
    assert memory_mb[NUM_UPLOADS] - memory_mb[NUM_UPLOADS // 2] < FLAT_MB


def test_2_gb_are_refused_before_they_are_read(served: Served) -> None:
    before = served.memory_mb()
    answer, sent = served.upload_endlessly(2 * 10**9)
    assert answer is None or answer.status_code == 413
    grown = served.memory_mb() - before
    logger.info("2 GB against %s MB: %.0f MB sent, %.0f grown", MAX_UPLOAD_MB, sent / 1e6, grown)
    assert sent < 1.2 * MAX_UPLOAD_MB * 10**6
    assert grown < FLAT_MB


def test_2_gb_that_are_announced_are_refused_at_once(served: Served) -> None:
    status, detail = read_problem(served.send(make_request(FILE, length=2 * 10**9)))
    assert (status, "larger than 512 MB" in detail) == (413, True)


def test_a_slow_upload_is_refused(served: Served) -> None:
    """Some bytes a second, as an attacker sends them to hold a place."""
    request = make_request(FILE, length=10**6)
    began = time.monotonic()
    host, _, port = served.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        connection.settimeout(1)
        while not answer and time.monotonic() - began < 60:
            connection.sendall(b"slow")
            try:
                answer = connection.recv(2**16)
            except TimeoutError:
                continue
    logger.info("slow upload: refused after %.0f s", time.monotonic() - began)
    assert answer.startswith(b"HTTP/1.1 408 "), answer  # the body may come a moment later


def test_a_connection_that_never_asks_is_closed(served: Served) -> None:
    began = time.monotonic()
    assert served.send(b"GET / HTTP/1.1\r\nHost: local", timeout_s=60) == b""
    seconds = time.monotonic() - began
    logger.info("half a header: closed after %.0f s", seconds)
    assert 15 < seconds < 40


def test_an_upload_cut_in_the_middle_is_removed(served: Served) -> None:
    before = len(served.uploads())
    host, _, port = served.address.removeprefix("http://").partition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(make_request(FILE + "x" * 10**5, length=10**6))
    time.sleep(1)
    assert len(served.uploads()) == before
    assert served.metric("oragen_arriving_clips") == 0


@pytest.mark.parametrize("name", ["playlist.mp4", "concat.mp4"])
def test_a_playlist_opens_no_other_file(served: Served, clips: Path, name: str) -> None:
    answer = served.predict(clips / name)
    assert answer.json()["prediction"]["status"] == "no_predictions"
    assert Path("/etc/hostname").read_text().strip() not in answer.text
    served.ask("DELETE", answer.headers["Location"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PART.format(name='"file"', filename='"x"', more=f"X-Long: {'x' * 10**6}\r\n"), "form"),
        (PART.format(name='"file"', filename=f'"{"x" * 10**6}"', more=""), "form"),
        (PART.format(name=f'"{"x" * 10**6}"', filename='"x"', more=""), "form"),
        (PART.format(name='"use_face"', filename='""', more="") + "x" * 10**6, "longer than"),
        ((PART.format(name='"use_face"', filename='""', more="") + "true\r\n") * 10**4, "too many"),
        (FILE, "whole multipart"),
        ("no form at all", "whole multipart"),
        ("", "whole multipart"),
        (END, "no `file`"),
    ],
    ids=["header", "file name", "name", "field", "parts", "no end", "no form", "empty", "no file"],
)
def test_forms_of_a_wrong_shape_are_refused(served: Served, body: str, words: str) -> None:
    before = served.memory_mb()
    status, detail = read_problem(served.send(make_request(body)))
    assert (status, words in detail) == (422, True), detail
    assert served.memory_mb() - before < FLAT_MB


@pytest.mark.parametrize("boundary", ["x" * 10**4, '""', "ä"])
def test_odd_boundaries_are_refused(served: Served, boundary: str) -> None:
    request = make_request(FILE).replace(
        f"boundary={BOUNDARY}".encode(), f"boundary={boundary}".encode()
    )
    assert read_problem(served.send(request))[0] in (415, 422)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\nConnection: close\r\n\r\n", 400),
        ("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
        ("GET /{:.1000} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        ("GET /v1/model HTTP/1.1\r\nHost: {:.1000}\r\nConnection: close\r\n\r\n", 421),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\nConnection: close\r\n\r\n", 403),
        ("GET /v1/model HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", 421),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n", 400),
        ("POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 400),
        ("POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
         "Transfer-Encoding: chunked\r\n\r\n", 400),
        ("what is this", 400),
    ],
)  # fmt: skip
def test_requests_of_a_wrong_shape_are_refused(
    served: Served, request_text: str, status: int
) -> None:
    answer = served.send(request_text.format("9" * 10**6).encode() + b"\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]


def test_requests_one_after_the_other_in_a_connection_are_all_answered(served: Served) -> None:
    one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    answer = served.send((f"{one}\r\n" * 50 + f"{one}Connection: close\r\n\r\n").encode())
    assert answer.count(b"HTTP/1.1 200 OK") == 51


def test_logs_hold_no_names_and_no_contents(clips: Path, tmp_path: Path) -> None:
    """All that the process and its children write is looked at."""
    damaged = tmp_path / f"{TELLING}.mp4"
    content = bytearray((clips / "talk.mp4").read_bytes())
    content[1000:9000] = TELLING.encode() * 320
    damaged.write_bytes(content)
    playlist = tmp_path / f"{TELLING}.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:5,\nfile:///{TELLING}\n")
    log = tmp_path / "log"
    (tmp_path / "model").mkdir()
    with log.open("wb") as stderr:
        model = save_model(tmp_path / "model")
        with serve(model, tmp_path / "spool", stderr=stderr.fileno()) as served:
            for clip in (damaged, playlist, clips / "broken.mp4"):
                answer = served.predict(clip)
                served.ask("GET", answer.headers["Location"] + "/drawn.mp4")
            served.ask("GET", f"/{TELLING}")
            served.send(make_request(f"{TELLING}\n" * 5))
            served.send(f"{TELLING}\r\n\r\n".encode())
            served.process.terminate()
            assert served.process.stdout is not None
            said = served.process.stdout.read()
    assert TELLING not in said + log.read_text()
    assert "Traceback" not in said + log.read_text()
