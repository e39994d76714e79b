"""`oragen serve` before it answers: hosts, ports, tokens, and what is missing."""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from oragen.app.listener import explain, listen
from oragen.app.options import ServeOptions
from oragen.cli.serve import check_token
from oragen.schema.errors import UserError
from tests.serving import read_address, start
from tests.small_models import save_model

SERVE = "from oragen.cli import run; run()"
IN_USE = "Port {} of 127.0.0.1 is in use. Choose another --port, or end what uses it.\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


def run_command(code: str, *arguments: str, folder: Path) -> tuple[int, str]:
    """Run the command to its end; return its exit code and all it says."""
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", *arguments], cwd=folder,
        env=os.environ | {"TMPDIR": str(folder)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_port_in_use_is_one_sentence(model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = run_command(SERVE, "--model", str(model), "--port", port, folder=tmp_path)
    assert (code, said) == (2, IN_USE.format(port))


@pytest.mark.parametrize(
    ("host", "words"),
    [("no-such-host.invalid", "no host"), ("a" * 70, "no host"), ("192.0.2.1", "no address of")],
)
def test_a_host_that_is_none_of_this_machine_is_one_sentence(host: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        listen(host, 0)


def test_a_port_that_needs_rights_is_one_sentence() -> None:
    error = OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert explain(error, "127.0.0.1", 80).startswith("Port 80 needs rights")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize(
    ("host", "others"), [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"]), ("localhost", [])]
)
def test_addresses_of_ipv6_and_names_can_be_listened_at(host: str, others: list[str]) -> None:
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]
        for other in others:
            socket.create_connection((other, port), timeout=5).close()
    assert ServeOptions(host="::1", port=8000).address == "http://[::1]:8000/"


@pytest.mark.parametrize("token", ["two words", "naïve", "line\nend"])
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(UserError, match="Choose another --token"):
        check_token(token)


def test_the_token_is_in_the_fragment_of_the_address_alone() -> None:
    options = ServeOptions(host="192.0.2.1", token="a&b=c#d")
    assert options.address == "http://192.0.2.1:8000/#token=a%26b%3Dc%23d"


@pytest.mark.slow
def test_an_empty_token_is_made_for_others(model: Path, tmp_path: Path) -> None:
    with start(model, tmp_path, "--host", "0.0.0.0", "--token", "") as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2)]
        process.kill()
    assert "TLS" in said[0]
    assert re.search(r"#token=[\w-]{32}", said[1])


@pytest.mark.slow
def test_while_the_model_is_loaded_clips_are_refused_and_a_signal_ends_it(
    model: Path, tmp_path: Path
) -> None:
    """An empty token is none on this machine."""
    with start(model, tmp_path, "--token", "") as process:
        address = read_address(process)
        answer = requests.get(f"{address}/readyz", timeout=10)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        upload = requests.post(f"{address}/v1/predictions", files={"file": b"x"}, timeout=10)
        assert (upload.status_code, upload.headers["Retry-After"]) == (503, "2")
        assert "being loaded" in upload.json()["detail"]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - began < 30
    assert list(tmp_path.rglob("upload")) == []


def test_without_the_extra_there_is_one_sentence(model: Path, tmp_path: Path) -> None:
    code, said = run_command(
        f"import sys; sys.modules['fastapi'] = None; {SERVE}", "--model", str(model),
        folder=tmp_path,
    )  # fmt: skip
    assert code == 2
    assert said == (
        "`oragen serve` needs the extra `app`: install it by `pip install 'oragen[app]'`.\n"
    )


@pytest.mark.slow
def test_a_broken_model_is_one_sentence(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "head.json").write_text("{}")
    code, said = run_command(SERVE, "--model", str(model), "--port", "0", folder=tmp_path)
    assert code == 2
    address, *sentences = said.splitlines()
    assert address.startswith("The page is at")
    assert len(sentences) == 1
    assert "head.json" in sentences[0]
