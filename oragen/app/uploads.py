"""The body of a request, as it comes -> one file, within limits.

Nothing is kept in memory, and a body that is too large, too slow or of another form is refused as
soon as that shows.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from oragen.app.options import ServeOptions
from oragen.app.problems import ProblemError
from oragen.schema.surroundings import FULL

FIELDS: Final = ("use_audio", "use_face")
MAX_FIELD_BYTES: Final = 100
NOT_WHOLE: Final = "The body is no whole multipart form."
OVERHEAD_BYTES: Final = 10_000  # of a form with one file
GRACE_S: Final = 10.0  # in which an upload need not be fast


class _Form:
    """Takes the parts of a multipart body: the file goes to the disk, fields into memory.

    `FormParser` of the same package would keep fields of any size in memory.
    """

    def __init__(self, target: Path) -> None:
        self.fields: dict[str, str] = {}
        self.num_files = 0
        self.is_whole = False
        self._num_parts = 0
        self._target = target.open("xb")
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[str, bytes] = {}
        self._name = ""
        self._is_file = False

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def close(self) -> None:
        self._target.close()

    def _begin(self) -> None:
        self._headers = {}
        self._num_parts += 1
        if self._num_parts > 1 + len(FIELDS):
            raise _unprocessable("The form has too many parts. Send each field once.")
        self._clear()

    def _clear(self) -> None:
        self._header.clear()
        self._value.clear()

    def _end_header(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = bytes(self._value)
        self._clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == "file"
        self.num_files += self._is_file
        if self.num_files > 1:
            raise _unprocessable("Send one file in a request.")
        if not self._is_file and self._name not in FIELDS:
            raise _unprocessable(f"The form has a field {self._name[:40]!r}; expected `file`, "
                                 "`use_audio` or `use_face`.")  # fmt: skip

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._target.write(data[start:end])
            return
        self._value.extend(data[start:end])
        if len(self._value) > MAX_FIELD_BYTES:
            raise _unprocessable(f"{self._name} is longer than {MAX_FIELD_BYTES} bytes.")

    def _finish(self) -> None:
        self.is_whole = True

    def _end(self) -> None:
        if not self._is_file:
            self.fields[self._name] = self._value.decode("utf-8", "replace")
        self._clear()


async def receive(request: Request, target: Path, options: ServeOptions) -> dict[str, str]:
    """Write the file of a form to `target`, and return the fields beside it.

    Raises:
        ProblemError: the body is too large, too slow, cut off, or no such form, or the disk is
            full. The caller removes what there is of `target`.
    """
    boundary = _read_boundary(request)
    form = _Form(target)
    try:
        parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
        async for chunk in _bounded(request, options):
            await asyncio.to_thread(parser.write, chunk)
        parser.finalize()
        if not form.is_whole:
            raise _unprocessable(NOT_WHOLE)
        if form.num_files != 1:
            raise _unprocessable("The form has no `file`.")
    except FormParserError as error:
        raise _unprocessable(NOT_WHOLE) from error
    except OSError as error:
        raise no_space(error) from error
    finally:
        form.close()
    return form.fields


def _read_boundary(request: Request) -> bytes:
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or b"boundary" not in parameters:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send the clip as a form: multipart/form-data with a field `file`.",
        )
    return parameters[b"boundary"]


async def _bounded(request: Request, options: ServeOptions) -> AsyncIterator[bytes]:
    """Yield the body in pieces, and refuse it once it is over a limit."""
    most = options.max_upload_bytes + OVERHEAD_BYTES
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise _too_large(options)
    began, num_bytes = time.monotonic(), 0
    pieces = request.stream()
    while True:
        try:
            async with asyncio.timeout(GRACE_S):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise _too_slow() from error
        except ClientDisconnect as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "The upload was cut off.") from error
        num_bytes += len(piece)
        if num_bytes > most:
            raise _too_large(options)
        seconds = time.monotonic() - began
        if seconds > GRACE_S and num_bytes < options.min_bytes_per_s * seconds:
            raise _too_slow()
        if piece:
            yield piece


def _too_large(options: ServeOptions) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The file is larger than {options.max_upload_bytes / 10**6:,.0f} MB, the limit of this "
        "service (`--max-upload-mb`).",
        {"Connection": "close"},
    )


def no_space(error: OSError) -> ProblemError:
    """Return the problem of an upload that cannot be written; other errors are raised again."""
    if error.errno not in FULL:
        raise error
    return ProblemError(
        HTTPStatus.INSUFFICIENT_STORAGE,
        "The disk of this service is full. Try again in some minutes, or send a smaller file.",
        {"Connection": "close"},
    )


def _too_slow() -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_TIMEOUT,
        "The upload is too slow. Try a smaller file, or a better connection.",
        {"Connection": "close"},
    )


def _unprocessable(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
