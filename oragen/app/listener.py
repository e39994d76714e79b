"""A host and a port -> a socket that listens, or a sentence that says why there is none."""

import errno
import socket

from oragen.schema.errors import UserError

BACKLOG = 128
FIRST_FREE_PORT = 1024  # those below need rights


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that its address can be used as soon as it is printed.

    `::` listens at all addresses, also those of IPv4.

    Raises:
        UserError: there is no such host, or the port cannot be used.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(
            f"There is no host {host!r}. Give --host an address of this machine, such as 127.0.0.1."
        ) from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(explain(error, host, port)) from error
    return listener


def explain(error: OSError, host: str, port: int) -> str:
    """Say why nothing can listen there, and what to do."""
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} of {host} is in use. Choose another --port, or end what uses it."
        case errno.EACCES if port < FIRST_FREE_PORT:
            return (
                f"Port {port} needs rights that this user does not have. Choose a --port of "
                f"{FIRST_FREE_PORT} or more."
            )
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine. Choose another --host."
        case _:
            return (
                f"Nothing can listen at {host}, port {port} ({error.strerror}). Choose another "
                "--host or --port."
            )
