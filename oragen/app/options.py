"""How the service runs."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

KEPT_S: Final = 900.0  # an upload and its prediction, after the end of the work
HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # all addresses of this machine -> one of them
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True)
class ServeOptions:
    """How the service runs; all bounds are those of one request or one clip."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None  # None: nobody is asked for one
    max_upload_bytes: int = 512 * 10**6
    max_duration_s: float = 7200.0
    queue: int = 16  # clips that wait; more are refused
    min_bytes_per_s: int = 10_000  # of an upload, over 10 s

    @property
    def address(self) -> str:
        """The address of the page; the token is in the part that browsers do not send."""
        name = HERE.get(self.host, self.host)
        host = f"[{name}]" if ":" in name else name
        fragment = f"#token={self.token}" if self.token else ""
        return f"http://{host}:{self.port}/{fragment}"


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is this machine alone."""
    if host.lower() in LOOPBACK:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
