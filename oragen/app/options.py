"""How the service runs."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

KEPT_S: Final = 900.0  # an upload and its prediction, after the end of the work
HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # all addresses of this machine -> one of them
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True)
class ServeOptions:
    """How the service runs."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None  # None: nobody is asked for one
    max_upload_bytes: int = 512 * 10**6
    max_duration_s: float = 7200.0
    queue: int = 16  # clips that arrive or wait; more are refused
    min_bytes_per_s: int = 10_000  # of an upload, over 10 s
    # Of clips that have ended. The oldest go first, and the newest one always stays.
    kept_jobs: int = 100
    kept_length_s: float = 36_000.0  # a prediction of two hours takes 6 MB of memory
    max_watchers: int = 100  # event streams at once
    max_connections: int = 1_000
    ending_s: float = 30.0  # for the clips that are being predicted when the service is ended

    @property
    def kept_bytes(self) -> int:
        """How much of uploads and drawings is kept on the disk after the end of the work."""
        return 4 * self.max_upload_bytes

    @property
    def address(self) -> str:
        """The address of the page; the token is in the part that browsers do not send."""
        name = HERE.get(self.host, self.host)
        host = f"[{name}]" if ":" in name else name
        fragment = f"#token={quote(self.token, safe='')}" if self.token else ""
        return f"http://{host}:{self.port}/{fragment}"


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is this machine alone."""
    if host.lower() in LOOPBACK:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
