"""What went wrong with a request -> RFC 9457 problem JSON, whose `detail` is a sentence to read."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """A request that cannot be answered.

    Args:
        status: of the response.
        detail: one sentence: what is wrong, and what to do.
        headers: further ones of the response.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def to_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem as a response."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def _list_methods(app: FastAPI, request: Request) -> set[str]:
    """Return the methods of all routes of a path; the framework names those of the first."""
    described = app.openapi()["paths"]
    return {
        method.upper()
        for path, methods in described.items()
        if compile_path(path)[0].match(request.url.path)
        for method in methods
    } or {"GET"}


def answer_with_problems(app: FastAPI) -> None:
    """Let every error of an application be answered by a problem, none by a traceback."""

    @app.exception_handler(ProblemError)
    async def on_problem(_: Request, problem: ProblemError) -> JSONResponse:
        return to_response(problem.status, problem.detail, problem.headers)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_list_methods(app, request)))
        return to_response(error.status_code, str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return to_response(HTTPStatus.UNPROCESSABLE_ENTITY, f"{place}: {first['msg']}.")

    @app.exception_handler(Exception)
    async def on_error(_: Request, __: Exception) -> JSONResponse:
        detail = "The service failed at this request; its log has the reason."
        return to_response(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
