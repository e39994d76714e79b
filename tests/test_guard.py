"""Requests -> whether the guard of the service lets them through."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from oragen.app.guard import Guard
from oragen.app.options import ServeOptions

TOKEN = {"Authorization": "Bearer secret"}
PROXIED = {"Host": "oragen.example.org", "Origin": "https://oragen.example.org"}


def ask(options: ServeOptions, headers: dict[str, str], path: str = "/v1/model") -> int:
    """Return the status of a response."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": raw}
    asyncio.run(Guard(PlainTextResponse("through"), options)(scope, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_behind_a_proxy_the_token_decides(host: str) -> None:
    """A proxy passes the name that browsers know on."""
    options = ServeOptions(host=host, token="secret")
    assert ask(options, PROXIED | TOKEN) == 200
    assert ask(options, PROXIED) == 401
    assert ask(options, PROXIED, path="/") == 200  # the page, which asks for the token
    assert ask(options, PROXIED | TOKEN | {"Origin": "https://evil.example"}) == 403


def test_without_a_token_only_names_of_this_machine_are_answered() -> None:
    """Else a name that its owner points at 127.0.0.1 would do (DNS rebinding)."""
    assert ask(ServeOptions(), PROXIED) == 421
    assert ask(ServeOptions(), {"Host": "localhost:8000"}) == 200


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000/#token=secret"),
        ("::", "http://[::1]:8000/#token=secret"),
        ("192.0.2.1", "http://192.0.2.1:8000/#token=secret"),
    ],
)
def test_the_address_is_one_that_a_browser_opens(host: str, address: str) -> None:
    assert ServeOptions(host=host, token="secret").address == address


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "["}, 421), ({"Host": "localhost", "Origin": "http://["}, 403)],
)
def test_malformed_headers_are_refused(headers: dict[str, str], status: int) -> None:
    assert ask(ServeOptions(), headers) == status
