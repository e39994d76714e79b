"""Uploads and jobs: `/v1/predictions` and `/v1/jobs`."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from sse_starlette.sse import EventSourceResponse

from oragen.app.forms import JobForm, to_form
from oragen.app.jobs import Job
from oragen.app.pictures import Kind
from oragen.app.problems import ProblemError
from oragen.app.service import Service, service_of
from oragen.app.uploads import no_space, receive
from oragen.schema.files import remove

MAX_WAIT_S: Final = 60.0
WAIT_S: Final = 10.0  # for the prediction of a short clip
TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False}
MEDIA_TYPES: Final[dict[Kind, str]] = {
    "plot.png": "image/png", "drawn.png": "image/png", "drawn.mp4": "video/mp4",
}  # fmt: skip
CLOSED_BY_CLIENT: Final = 499  # nobody reads it
REQUEST_BODY: Final = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "One of use_audio and use_face must be true, as both are at first.",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "One clip."},
                    "use_audio": {"type": "string", "enum": [*TRUTHS]},
                    "use_face": {"type": "string", "enum": [*TRUTHS]},
                },
            }
        }
    },
}
LOCATION: Final = {"Location": {"description": "The job.", "schema": {"type": "string"}}}
JOB: Final[dict[str, Any]] = {"model": JobForm, "headers": LOCATION}
EVENTS: Final = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
PICTURE: Final = {
    "content": {kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in dict.fromkeys(MEDIA_TYPES.values())}
}  # fmt: skip

router = APIRouter()


@router.post("/v1/predictions", openapi_extra={"requestBody": REQUEST_BODY},
             responses={200: JOB, 202: JOB}, response_class=Response)  # fmt: skip
async def predict(
    request: Request,
    wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = WAIT_S,
) -> Response:
    """Predict on one clip: 200 with the prediction if it is there in time, else 202."""
    service = service_of(request)
    service.predictor()
    with service.jobs.place():
        job = await _receive(request, service)
        service.jobs.add(job)
    service.worker.wake()
    if await _is_left(request, service, job, wait_s):
        service.cancel(job)  # nobody knows its name
        return Response(status_code=CLOSED_BY_CLIENT)
    status = HTTPStatus.OK if job.is_ended else HTTPStatus.ACCEPTED
    return await _answer(job, service, status, {"Location": f"/v1/jobs/{job.key}"})


@router.get("/v1/jobs/{key}", response_model=JobForm, response_class=Response)
async def read_job(request: Request, key: str) -> Response:
    """Return a job, with its prediction once that is there."""
    service = service_of(request)
    return await _answer(service.jobs.get(key), service, HTTPStatus.OK)


@router.get("/v1/jobs/{key}/events", response_class=EventSourceResponse, responses={200: EVENTS})
async def watch_job(request: Request, key: str) -> EventSourceResponse:
    """Send a job each time it changes: events `progress`, and `end` with the prediction."""
    jobs = service_of(request).jobs
    job = jobs.get(key)
    jobs.refuse_watcher()

    async def events() -> AsyncIterator[dict[str, str]]:
        async for changed in jobs.watch(job):
            is_ended = changed.is_ended
            form = to_form(changed, jobs.position(changed), with_prediction=is_ended)
            text = await asyncio.to_thread(form)
            yield {"event": "end" if is_ended else "progress", "data": text}

    return EventSourceResponse(events())


@router.get("/v1/jobs/{key}/{kind}", response_class=FileResponse, responses={200: PICTURE})
async def draw_job(request: Request, key: str, kind: Kind) -> FileResponse:
    """Return the plot over time, or the clip with boxes; a picture as `drawn.png`."""
    service = service_of(request)
    path = await service.pictures.find(service.jobs.get(key), kind)
    return FileResponse(path, media_type=MEDIA_TYPES[kind])


@router.delete("/v1/jobs/{key}", status_code=HTTPStatus.NO_CONTENT)
async def remove_job(request: Request, key: str) -> Response:
    """Cancel a job, and remove its clip and prediction."""
    service = service_of(request)
    service.cancel(service.jobs.get(key))
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _receive(request: Request, service: Service) -> Job:
    try:
        path = service.spool.new_file()
    except OSError as error:
        raise no_space(error) from error
    try:
        with service.measured.time("receiving"):
            fields = await receive(request, path, service.options)
        return _make_job(path, fields)
    except BaseException:
        remove(path.parent)
        raise


def _make_job(path: Path, fields: dict[str, str]) -> Job:
    use_audio, use_face = (_read_choice(fields, name) for name in ("use_audio", "use_face"))
    if not use_audio and not use_face:
        detail = "use_audio and use_face are both false, which leaves nothing."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return Job(path, use_audio=use_audio, use_face=use_face, num_bytes=path.stat().st_size)


def _read_choice(fields: dict[str, str], name: str) -> bool:
    text = fields.get(name, "true").lower()
    if text not in TRUTHS:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be true or false.")
    return TRUTHS[text]


async def _is_left(request: Request, service: Service, job: Job, wait_s: float) -> bool:
    """Wait for the end of a job; return whether the client has gone away meanwhile."""
    ending = asyncio.create_task(service.jobs.wait_for_end(job))
    leaving = asyncio.create_task(_wait_for_leave(request))
    try:
        await asyncio.wait([ending, leaving], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        return leaving.done() and not job.is_ended
    finally:
        ending.cancel()
        leaving.cancel()


async def _wait_for_leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer(
    job: Job, service: Service, status: int, headers: dict[str, str] | None = None
) -> Response:
    """Return a job as JSON, which takes half a second for a clip of two hours."""
    text = await asyncio.to_thread(to_form(job, service.jobs.position(job)))
    return Response(text, status, headers, media_type="application/json")
