"""`oragen serve`: a page and an HTTP interface for one model."""

import logging
import os
import secrets
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from oragen.cli.options import ModelName
from oragen.schema.errors import UserError

if TYPE_CHECKING:  # its import takes seconds
    from oragen.predictor import Predictor

MISSING = "`oragen serve` needs the extra `app`: install it by `pip install 'oragen[app]'`."


def serve(
    model: ModelName = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="ORAGEN_TOKEN",
            show_envvar=True,
            help="What requests must show; the variable is not seen in lists of processes.",
            show_default="none here; made for other hosts",
        ),
    ] = None,
    max_upload_mb: Annotated[float, typer.Option(min=0.001, max=10**5, help="Of one clip.")] = 512,
    max_duration_s: Annotated[
        float,
        typer.Option(min=1, max=86_400, help="Of one clip; never more than the model takes."),
    ] = 7200,
    queue: Annotated[
        int, typer.Option(min=1, max=1000, help="Clips that may arrive or wait at once.")
    ] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
) -> None:
    """Answer in a browser and over HTTP; nothing that is uploaded is kept.

    The page is at the address that is printed. `/docs` describes the interface.

    Example: `curl -F file=@clip.mp4 http://127.0.0.1:8000/v1/predictions`
    """
    from oragen.cli.trained import check_model, choose_model

    check_model(model)
    try:
        from oragen.app.application import make_app
        from oragen.app.listener import listen
        from oragen.app.options import ServeOptions, is_loopback
        from oragen.app.server import Server
        from oragen.app.spool import Spool
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("oragen"):
            raise
        raise UserError(MISSING) from error
    check_token(token)
    if not is_loopback(host):
        token = token or secrets.token_urlsafe(24)
        typer.echo("Others can reach this service. Put a proxy with TLS before it: it has none.")
    listener = listen(host, port)
    options = ServeOptions(
        host=host,
        port=listener.getsockname()[1],
        token=token or None,
        max_upload_bytes=round(max_upload_mb * 10**6),
        max_duration_s=max_duration_s,
        queue=queue,
    )

    def load() -> "Predictor":
        from oragen.predictor import Predictor

        source = choose_model() if model is None else model
        return Predictor.from_pretrained(source, device=device, max_duration_s=max_duration_s)

    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells parts of contents
    failures: list[BaseException] = []

    def end(failure: BaseException) -> None:
        failures.append(failure)
        server.should_exit = True

    with Spool() as spool:
        app = make_app(load, options, spool, end)
        server = Server(app, options)
        typer.echo(f"The page is at {options.address} (end it by Ctrl-C).")
        server.run(sockets=[listener])
    for failure in failures:
        raise failure
    if server.force_exit or app.state.service.worker.is_running:
        _end_at_once()


def check_token(token: str | None) -> None:
    """Refuse a token that no header can carry.

    Raises:
        UserError: it has other characters than the visible ones of ASCII.
    """
    if token and not all("!" <= character <= "~" for character in token):
        raise UserError(
            "The token has a space, or characters that are not ASCII. Choose another --token, "
            "for example one that `openssl rand -hex 24` makes."
        )


def _end_at_once() -> None:
    """End the process, and do not wait for a thread that still loads or encodes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
