"""A model and options -> the ASGI application: the page and the HTTP interface."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sse_starlette.sse import EventSourceResponse

from oragen.app.examples import find_examples, list_examples
from oragen.app.forms import (
    ExampleForm,
    JobForm,
    ModelForm,
    ProblemForm,
    StatusForm,
    prediction_schema,
    to_form,
)
from oragen.app.guard import Guard
from oragen.app.jobs import Job, Jobs
from oragen.app.measured import Measured
from oragen.app.model_card import describe_model
from oragen.app.options import ServeOptions
from oragen.app.pictures import Kind, Pictures
from oragen.app.problems import ProblemError, answer_with_problems
from oragen.app.uploads import Spool, receive
from oragen.app.worker import Worker
from oragen.predictor import Predictor

PAGE: Final = Path(__file__).with_name("page")
SWEEP_S: Final = 60.0
MAX_WAIT_S: Final = 60.0
WAIT_S: Final = 10.0  # for the prediction of a short clip
TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ProblemForm, "content": {"application/problem+json": {}}}
    for status in (400, 401, 403, 404, 408, 409, 413, 415, 421, 422, 503)
}


class Service:
    """What the requests share."""

    def __init__(
        self,
        load: Callable[[], Predictor],
        options: ServeOptions,
        spool: Spool,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.options = options
        self.spool = spool
        self.measured = Measured()
        self.jobs = Jobs(options)
        self.pictures = Pictures()
        self.worker = Worker(load, self.jobs, self.measured, on_failure)

    def predictor(self) -> Predictor:
        """Return the model.

        Raises:
            ProblemError: it is not loaded yet.
        """
        if self.worker.predictor is None:
            detail = "The model is being loaded. Try again in some seconds."
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "2"})
        return self.worker.predictor

    async def sweep(self) -> None:
        """Remove old uploads, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.jobs.forget_old()


def make_app(
    load: Callable[[], Predictor],
    options: ServeOptions,
    on_failure: Callable[[BaseException], None],
) -> FastAPI:
    """Return the application.

    Args:
        load: loads the model, in a thread, when the application starts.
        options: how it runs.
        on_failure: is told, in that thread, why the model could not be loaded.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Spool() as spool:
            service = app.state.service = Service(load, options, spool, on_failure)
            service.worker.start()
            sweeping = asyncio.create_task(service.sweep())
            yield
            sweeping.cancel()
            await asyncio.to_thread(service.worker.stop)
            service.pictures.close()

    app = FastAPI(
        title="oragen",
        version=version("oragen"),
        summary="Gender, age and mask type of a speaking person, from voice and face.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
    )
    app.add_middleware(Guard, options=options)
    answer_with_problems(app)
    _add_predictions(app)
    _add_status(app)
    app.mount("/static", StaticFiles(directory=PAGE), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(PAGE / "docs.html")

    _describe(app)
    return app


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _add_predictions(app: FastAPI) -> None:
    @app.post("/v1/predictions", openapi_extra={"requestBody": REQUEST_BODY},
              responses={200: {"model": JobForm}, 202: {"model": JobForm}})  # fmt: skip
    async def predict(
        request: Request,
        wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = WAIT_S,
    ) -> JSONResponse:
        """Predict on one clip: 200 with the prediction if it is there in time, else 202."""
        service = _service(request)
        service.predictor()
        service.jobs.refuse_if_full()
        path = service.spool.new_file()
        fields = await receive(request, path, service.options)
        try:
            job = _make_job(path, fields)
            service.jobs.add(job)
        except ProblemError:
            path.unlink()
            raise
        service.worker.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                async for _ in service.jobs.watch(job):
                    pass
        status = HTTPStatus.OK if job.is_ended else HTTPStatus.ACCEPTED
        content = to_form(job, service.jobs).model_dump()
        return JSONResponse(content, status, {"Location": f"/v1/jobs/{job.key}"})

    @app.get("/v1/jobs/{key}")
    async def read_job(request: Request, key: str) -> JobForm:
        """Return a job, with its prediction once that is there."""
        jobs = _service(request).jobs
        return to_form(jobs.get(key), jobs)

    @app.get("/v1/jobs/{key}/events", response_class=EventSourceResponse)
    async def watch_job(request: Request, key: str) -> EventSourceResponse:
        """Send a job each time it changes: events `progress`, and `end` with the prediction."""
        jobs = _service(request).jobs
        job = jobs.get(key)

        async def events() -> AsyncIterator[dict[str, str]]:
            async for changed in jobs.watch(job):
                kind = "end" if changed.is_ended else "progress"
                form = to_form(changed, jobs, with_prediction=changed.is_ended)
                yield {"event": kind, "data": form.model_dump_json()}

        return EventSourceResponse(events())

    @app.get("/v1/jobs/{key}/{kind}", response_class=FileResponse)
    async def draw_job(request: Request, key: str, kind: Kind) -> FileResponse:
        """Return the plot over time, or the clip with boxes; a picture as `drawn.png`."""
        service = _service(request)
        return FileResponse(await service.pictures.find(service.jobs.get(key), kind))

    @app.delete("/v1/jobs/{key}", status_code=HTTPStatus.NO_CONTENT)
    async def remove_job(request: Request, key: str) -> Response:
        """Cancel a job, and remove its clip and prediction."""
        jobs = _service(request).jobs
        jobs.cancel(jobs.get(key))
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _make_job(path: Path, fields: dict[str, str]) -> Job:
    use_audio, use_face = (_read_choice(fields, name) for name in ("use_audio", "use_face"))
    if not use_audio and not use_face:
        detail = "use_audio and use_face are both false, which leaves nothing."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return Job(path, use_audio=use_audio, use_face=use_face)


def _read_choice(fields: dict[str, str], name: str) -> bool:
    text = fields.get(name, "true").lower()
    if text not in TRUTHS:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be true or false.")
    return TRUTHS[text]


def _add_status(app: FastAPI) -> None:
    @app.get("/v1/model")
    async def read_model(request: Request) -> ModelForm:
        """Return what answers, on whom it was trained, and what the service takes."""
        service = _service(request)
        return describe_model(service.predictor(), service.options)

    @app.get("/v1/examples")
    async def read_examples() -> list[ExampleForm]:
        """Return the clips that the demo generated, if the service was started beside them."""
        return list_examples()

    @app.get("/v1/examples/{name}", response_class=FileResponse)
    async def read_example(name: str) -> FileResponse:
        """Return one of these clips."""
        found = find_examples()
        if name not in found:
            raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such example.")
        return FileResponse(found[name], media_type="video/mp4")

    @app.get("/healthz")
    async def is_alive() -> StatusForm:
        """Say that the service runs."""
        return StatusForm(status="ok")

    @app.get("/readyz")
    async def is_ready(request: Request) -> StatusForm:
        """Say that the model is loaded; 503 before."""
        _service(request).predictor()
        return StatusForm(status="ok")

    @app.get("/metrics", response_class=Response)
    async def read_metrics(request: Request) -> Response:
        """Return counts and seconds, as Prometheus reads them."""
        service = _service(request)
        service.measured.waiting.set(len(service.jobs.waiting()))
        return Response(generate_latest(service.measured.registry), media_type=CONTENT_TYPE_LATEST)


REFERENCE: Final = "#/components/schemas/"
REQUEST_BODY: Final = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
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


def _describe(app: FastAPI) -> None:
    """Put the schema of a prediction into OpenAPI, as it is published."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            text = json.dumps(prediction_schema()).replace("#/$defs/", REFERENCE)
            schema = json.loads(text)
            schemas = make()["components"]["schemas"]
            schemas |= schema.pop("$defs") | {"Prediction": schema}
            schemas["JobForm"]["properties"]["prediction"] = {
                "anyOf": [{"$ref": f"{REFERENCE}Prediction"}, {"type": "null"}]
            }
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
