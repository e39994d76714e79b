"""A path, the kept file or a download -> the weights of YuNet, known by their SHA-256."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oragen.config.kept import kept_models
from oragen.detection.downloads import DownloadError, download
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.lfs import is_lfs_pointer

logger = logging.getLogger(__name__)

YUNET_FILE: Final = "face_detection_yunet_2023mar.onnx"
# The same file, in the repositories of OpenCV on the hub and on GitHub.
YUNET_URLS: Final = (
    f"https://huggingface.co/opencv/face_detection_yunet/resolve/main/{YUNET_FILE}",
    f"https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/{YUNET_FILE}",
)
YUNET_SHA256: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
YUNET_BYTES: Final = 232_589
# Of YuNet as it was published: the file that we fetch, and that of libfacedetection.train.
KNOWN_YUNET: Final = (
    YUNET_SHA256,
    "25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31",
)
MAX_YUNET_BYTES: Final = 10_000_000
FETCH: Final = "oragen models fetch yunet"
OFFLINE_ADVICE: Final = (
    f"Without a network: download {YUNET_URLS[0]} or {YUNET_URLS[1]} elsewhere (SHA-256 "
    f"{YUNET_SHA256}), bring the file here and run `{FETCH} --from FILE`"
)
WEIGHTS_ADVICE: Final = (
    f"Run `{FETCH}`. {OFFLINE_ADVICE}, or set `faces.weights` in params.yaml to it. Or set "
    "`faces.detector` to cascade, which needs none."
)


class FaceWeightsError(UserError):
    """The weights of a face detector are missing, cannot be fetched, or are not the right ones."""


def kept_yunet() -> Path:
    """Return where the weights are kept, whether they are there or not."""
    return kept_models() / "yunet" / YUNET_FILE


def find_kept_yunet() -> Path | None:
    """Return the kept weights, checked by their SHA-256; None if there are none.

    Raises:
        FaceWeightsError: the file there is not YuNet as it was published.
    """
    file = kept_yunet()
    if not file.is_file():
        return None
    refuse_unknown_yunet(file, f"Remove it and run `{FETCH}` again.")
    return file


def fetch_yunet(urls: Sequence[str] = YUNET_URLS, *, sha256: str = YUNET_SHA256) -> Path:
    """Download the weights to where they are kept, unless they are there.

    Args:
        urls: of the same file; the first one that gives it counts.
        sha256: of the file.

    Raises:
        FaceWeightsError: no address gives the file.
    """
    file = kept_yunet()
    if file.is_file() and _is_known(file, (sha256, *KNOWN_YUNET)):
        return file
    try:
        url = download(urls, file, sha256=sha256, num_bytes=MAX_YUNET_BYTES)
    except DownloadError as error:
        raise FaceWeightsError(f"YuNet could not be fetched: {error}. {OFFLINE_ADVICE}.") from error
    logger.info("fetched %s to %s", url, file)
    return file


def keep_yunet(source: Path) -> Path:
    """Copy weights from a file of this machine to where they are kept.

    Raises:
        FaceWeightsError: there is no such file, or it is not YuNet as it was published.
    """
    if not source.is_file():
        raise FaceWeightsError(f"There is no file {source}. {OFFLINE_ADVICE}.")
    refuse_unknown_yunet(source, f"{OFFLINE_ADVICE}.")
    content, file = source.read_bytes(), kept_yunet()
    with atomic_write(file) as unfinished:
        unfinished.write_bytes(content)
    return file


def find_yunet_weights(path: Path | None) -> Path:
    """Return `path`, a file of YuNet weights or a folder that holds one under its public name.

    Any YuNet of 2022 or later will do, so a file of the user's own is not compared with a hash.

    Args:
        path: None = the kept file.

    Raises:
        FaceWeightsError: there is none; says how to get one.
    """
    if path is None:
        kept = find_kept_yunet()
        if kept is None:
            raise FaceWeightsError(f"yunet needs its weights, and none are kept. {WEIGHTS_ADVICE}")
        return kept
    file = path / YUNET_FILE if path.is_dir() else path
    if not file.is_file():
        raise FaceWeightsError(f"No YuNet weights at {file}. {WEIGHTS_ADVICE}")
    return file


def refuse_unknown_yunet(file: Path, remedy: str) -> None:
    """Refuse a file that is not one of the published ones.

    Raises:
        FaceWeightsError: says what it is, and what to do.
    """
    if not _is_known(file, KNOWN_YUNET):
        raise FaceWeightsError(
            f"{file} is not YuNet as it was published: it has {_describe(file)}, expected SHA-256 "
            f"{YUNET_SHA256}. {remedy}"
        )


def known_sha256(file: Path) -> str:
    """Return the SHA-256 of the published file that this is, or should be."""
    if file.is_file() and _is_known(file, KNOWN_YUNET):
        return sha256_of(file)
    return YUNET_SHA256


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a small file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_known(file: Path, known: Sequence[str]) -> bool:
    return file.stat().st_size <= MAX_YUNET_BYTES and sha256_of(file) in known


def _describe(file: Path) -> str:
    if file.stat().st_size > MAX_YUNET_BYTES:
        return f"more than {MAX_YUNET_BYTES} bytes"
    pointer = " of a Git-LFS pointer" if is_lfs_pointer(file.read_bytes()) else ""
    return f"SHA-256 {sha256_of(file)}{pointer}"
