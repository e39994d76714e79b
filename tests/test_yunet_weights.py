"""The weights of YuNet: fetched, brought from elsewhere, kept and found."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from oragen.detection.face_detectors import build_detector
from oragen.detection.yunet_weights import (
    MAX_YUNET_BYTES,
    YUNET_FILE,
    YUNET_URLS,
    FaceWeightsError,
    fetch_yunet,
    find_kept_yunet,
    find_yunet_weights,
    keep_yunet,
    kept_yunet,
)
from tests.file_servers import serve

NETWORK = b"a network"
SHA256 = hashlib.sha256(NETWORK).hexdigest()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:8f2383\nsize 232589\n"
NOBODY = "http://127.0.0.1:9"  # a port on which nothing listens


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub in which nothing is kept; a small file is the only known YuNet."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("oragen.detection.yunet_weights.KNOWN_YUNET", (SHA256,))
    return tmp_path / "cache"


@pytest.fixture
def mirror() -> Iterator[str]:
    """The address of a server with the right file and wrong ones."""
    files = {
        YUNET_FILE: NETWORK,
        "other": b"another network",
        "pointer": POINTER,
        "endless": bytes(MAX_YUNET_BYTES + 1),
    }
    with serve(files) as address:
        yield address


def test_what_is_fetched_is_kept_in_the_cache_of_the_hub_and_found(
    mirror: str, hub_cache: Path
) -> None:
    assert find_kept_yunet() is None
    fetched = fetch_yunet([f"{mirror}/{YUNET_FILE}"], sha256=SHA256)
    assert fetched == hub_cache / "oragen" / "yunet" / YUNET_FILE
    assert fetched.read_bytes() == NETWORK
    assert find_kept_yunet() == fetched
    assert find_yunet_weights(None) == fetched
    assert fetch_yunet([NOBODY], sha256=SHA256) == fetched  # nothing is asked again


def test_where_one_mirror_fails_the_next_one_is_asked(mirror: str) -> None:
    urls = [f"{NOBODY}/x", f"{mirror}/absent", f"{mirror}/other", f"{mirror}/{YUNET_FILE}"]
    assert fetch_yunet(urls, sha256=SHA256).read_bytes() == NETWORK


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other", "gives a file with SHA-256 [0-9a-f]{64}, expected"),
        ("pointer", "gives a Git-LFS pointer, expected"),
        ("endless", f"gives more than the {MAX_YUNET_BYTES} bytes"),
        ("absent", "HTTP Error 404"),
    ],
)
def test_nothing_but_the_file_is_kept(name: str, reason: str, mirror: str, hub_cache: Path) -> None:
    with pytest.raises(FaceWeightsError, match=reason):
        fetch_yunet([f"{mirror}/{name}"], sha256=SHA256)
    assert not list(hub_cache.rglob("*.onnx"))


def test_without_a_network_both_addresses_the_hash_and_the_command_are_named() -> None:
    with pytest.raises(FaceWeightsError) as raised:
        fetch_yunet([f"{NOBODY}/a", f"{NOBODY}/b"], sha256=SHA256)
    message = str(raised.value)
    assert message.count("Connection refused") == 2
    assert all(url in message for url in YUNET_URLS)
    assert "bring the file here and run `oragen models fetch yunet --from FILE`." in message


def test_a_file_of_this_machine_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "brought.onnx").write_bytes(NETWORK)
    assert keep_yunet(tmp_path / "brought.onnx") == kept_yunet()
    assert find_kept_yunet() == kept_yunet()


@pytest.mark.parametrize(("content", "found"), [(b"x", "SHA-256"), (POINTER, "Git-LFS pointer")])
def test_no_other_file_is_kept(content: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(content)
    with pytest.raises(FaceWeightsError, match=f"other.onnx is not YuNet as .*{found}"):
        keep_yunet(tmp_path / "other.onnx")
    with pytest.raises(FaceWeightsError, match=r"There is no file .*absent"):
        keep_yunet(tmp_path / "absent")
    assert find_kept_yunet() is None


def test_a_kept_file_that_was_changed_is_refused() -> None:
    kept_yunet().parent.mkdir(parents=True)
    kept_yunet().write_bytes(b"changed")
    with pytest.raises(FaceWeightsError, match="Remove it and run `oragen models fetch yunet`"):
        find_kept_yunet()


def test_without_weights_yunet_says_what_to_do(tmp_path: Path) -> None:
    advice = r"none are kept\. Run `oragen models fetch yunet`.*`faces\.weights`.*cascade"
    with pytest.raises(FaceWeightsError, match=advice):
        build_detector("yunet")
    with pytest.raises(FaceWeightsError, match=r"No YuNet weights at .*cascade, which needs none"):
        build_detector("yunet", weights=tmp_path / "absent.onnx")


def test_weights_are_a_file_or_lie_in_a_folder(tmp_path: Path) -> None:
    file = tmp_path / YUNET_FILE
    file.touch()
    assert find_yunet_weights(file) == file
    assert find_yunet_weights(tmp_path) == file


def test_weights_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no network")
    with pytest.raises(FaceWeightsError, match=r"text\.onnx"):
        build_detector("yunet", weights=path).detect(np.zeros((60, 80, 3), np.uint8))
