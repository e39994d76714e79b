"""The addresses of one small file, and its SHA-256 -> the file, whole and checked."""

import hashlib
import time
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from oragen.schema.files import atomic_write
from oragen.schema.lfs import is_lfs_pointer

TIMEOUT_S: Final = 10.0  # for each answer of the server
MAX_S: Final = 120.0  # for the whole file
_CHUNK_BYTES: Final = 1 << 16


class DownloadError(ValueError):
    """No address gives the file; ends without a full stop."""


def download(urls: Sequence[str], target: Path, *, sha256: str, num_bytes: int) -> str:
    """Write the file to `target` from the first address that gives it; return that address.

    No more than `num_bytes` and one byte are read. A file with another hash is never written.

    Raises:
        DownloadError: says of each address why it did not give the file.
    """
    failures = []
    for url in urls:
        try:
            content = _read(url, num_bytes)
        except (OSError, HTTPException, DownloadError) as error:
            failures.append(f"{url}: {_explain(error)}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == sha256:
            with atomic_write(target) as unfinished:
                unfinished.write_bytes(content)
            return url
        what = "a Git-LFS pointer" if is_lfs_pointer(content) else f"a file with SHA-256 {found}"
        failures.append(f"{url}: gives {what}, expected SHA-256 {sha256}")
    raise DownloadError("; ".join(failures))


def _explain(error: Exception) -> str:
    if isinstance(error, URLError) and not isinstance(error, HTTPError):
        return str(error.reason)
    return str(error)


def _read(url: str, num_bytes: int) -> bytes:
    deadline = time.monotonic() + MAX_S
    content = bytearray()
    with urlopen(url, timeout=TIMEOUT_S) as response:
        assert isinstance(response, HTTPResponse)
        while chunk := response.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > num_bytes:
                raise DownloadError(f"gives more than the {num_bytes} bytes of the file")
            if time.monotonic() > deadline:
                raise DownloadError(f"gave {len(content)} bytes of {num_bytes} in {MAX_S:.0f} s")
    return bytes(content)
