"""The application and a socket -> a server that ends cleanly, and waits for nobody too long."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import h11
import uvicorn
from fastapi import FastAPI
from sse_starlette.sse import AppStatus
from uvicorn.protocols.http.h11_impl import H11Protocol

from oragen.app.options import ServeOptions

MAX_HEADERS_BYTES: Final = 2**16
HEADERS_S: Final = 20.0  # in which the headers of a request must have come
CLOSING_S: Final = 5  # for the last responses


class ImpatientProtocol(H11Protocol):
    """HTTP that ends connections whose client does not ask."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._stop()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or end the connection if a response has begun."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # or it would respond once more
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.close()

    def _look(self) -> None:
        """Begin to wait for headers, or end it if they are there."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEADERS_S, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Server(uvicorn.Server):
    """Ends by a signal: clips that are being predicted may end, what waits is refused.

    A second Ctrl-C does not wait. Afterwards the caller goes on, as after any other end.
    """

    def __init__(self, app: FastAPI, options: ServeOptions) -> None:
        config = uvicorn.Config(
            app,
            http=ImpatientProtocol,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=options.max_connections,
            timeout_graceful_shutdown=CLOSING_S,
            h11_max_incomplete_event_size=MAX_HEADERS_BYTES,
        )
        super().__init__(config)
        self._app = app
        AppStatus.enable_automatic_graceful_drain = False  # event streams end with their jobs

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end the server, and give them back."""
        handlers: dict[signal.Signals, Any] = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the service end while it still answers, then close the connections."""
        await self._app.state.service.end(lambda: self.force_exit)
        await super().shutdown(sockets)
