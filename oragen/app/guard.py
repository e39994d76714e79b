"""A request -> whether it may be answered: host, origin and token; headers of every response.

A page of another site can send requests to a service on this machine, and a name that its owner
points at 127.0.0.1 makes them look local (DNS rebinding). So Host and Origin are compared.
"""

import hmac
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oragen.app.options import ServeOptions, is_loopback
from oragen.app.problems import to_response

POLICY: Final = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ]
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PROTECTED: Final = ("/v1/", "/metrics")


class Guard:
    """Middleware that refuses what it must, and puts `HEADERS` on every response."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if refusal := self._refuse(scope["path"], Headers(scope=scope)):
            status, detail = refusal
            await to_response(status, detail)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refuse(self, path: str, headers: Headers) -> tuple[HTTPStatus, str] | None:
        host = headers.get("host", "")
        if not self._knows(host):
            return (
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This service does not answer for the host {host!r}. Use the address it printed.",
            )
        origin = headers.get("origin")
        if origin is not None and _split(origin).netloc != host:
            return HTTPStatus.FORBIDDEN, "Requests of pages of other sites are not answered."
        if headers.get("sec-fetch-site") == "cross-site" and path.startswith(PROTECTED):
            return HTTPStatus.FORBIDDEN, "Requests of pages of other sites are not answered."
        if path.startswith(PROTECTED) and not self._has_token(headers.get("authorization", "")):
            return (
                HTTPStatus.UNAUTHORIZED,
                "This service needs its token: send the header `Authorization: Bearer TOKEN`.",
            )
        return None

    def _knows(self, host: str) -> bool:
        """Return whether a Host header is one of this service's.

        Where a token is asked for, any may be right, such as that of a proxy: the token decides.
        """
        name = _split(f"//{host}").hostname or ""
        return is_loopback(name) if self._options.token is None else bool(name)

    def _has_token(self, authorization: str) -> bool:
        token = self._options.token
        if token is None:
            return True
        kind, _, given = authorization.partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())


def _split(address: str) -> SplitResult:
    """Return the parts of an address; none of one that is malformed."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
