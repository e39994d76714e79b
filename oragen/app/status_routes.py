"""What is said of the service itself: model, examples, health, metrics."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from oragen.app.examples import find_examples
from oragen.app.forms import ExampleForm, ModelForm, StatusForm
from oragen.app.model_card import describe_model
from oragen.app.problems import ProblemError
from oragen.app.service import service_of

CLIP: Final = {"content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}}
METRICS: Final = {"content": {"text/plain": {"schema": {"type": "string"}}}}

router = APIRouter()


@router.get("/v1/model")
async def read_model(request: Request) -> ModelForm:
    """Return what answers, on whom it was trained, and what the service takes."""
    service = service_of(request)
    return describe_model(service.predictor(), service.options)


@router.get("/v1/examples")
async def read_examples(request: Request) -> list[ExampleForm]:
    """Return the clips that the demo generated, if the service was started beside them."""
    return await service_of(request).examples.list_all()


@router.get("/v1/examples/{name}", response_class=FileResponse, responses={200: CLIP})
async def read_example(name: str) -> FileResponse:
    """Return one of these clips."""
    found = find_examples()
    if name not in found:
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such example.")
    return FileResponse(found[name], media_type="video/mp4")


@router.get("/healthz")
async def is_alive() -> StatusForm:
    """Say that the service runs."""
    return StatusForm(status="ok")


@router.get("/readyz")
async def is_ready(request: Request) -> StatusForm:
    """Say that the model is loaded; 503 before."""
    service_of(request).refuse_unless_ready()
    return StatusForm(status="ok")


@router.get("/metrics", response_class=Response, responses={200: METRICS})
async def read_metrics(request: Request) -> Response:
    """Return counts and seconds, as Prometheus reads them."""
    service = service_of(request)
    service.measured.waiting.set(len(service.jobs.waiting()))
    service.measured.arriving.set(service.jobs.num_arriving)
    return Response(generate_latest(service.measured.registry), media_type=CONTENT_TYPE_LATEST)
