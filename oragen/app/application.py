"""A model and options -> the ASGI application: the page and the HTTP interface."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from oragen.app import prediction_routes, status_routes
from oragen.app.docs_routes import add_docs
from oragen.app.guard import Guard
from oragen.app.measured import CountRequests, Measured
from oragen.app.openapi import PROBLEMS, describe
from oragen.app.options import ServeOptions
from oragen.app.problems import answer_with_problems
from oragen.app.service import Service
from oragen.app.spool import Spool
from oragen.predictor import Predictor

PAGE: Final = Path(__file__).with_name("page")


def make_app(
    load: Callable[[], Predictor],
    options: ServeOptions,
    spool: Spool,
    on_failure: Callable[[BaseException], None],
) -> FastAPI:
    """Return the application.

    Args:
        load: loads the model, in a thread, when the application starts.
        options: how it runs.
        spool: where uploads are kept; it is entered and left by the caller.
        on_failure: is told, in that thread, why the model could not be loaded.
    """
    measured = Measured()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(load, options, spool, measured, on_failure)
        async with service.running():
            yield

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
    app.add_middleware(CountRequests, measured=measured)
    answer_with_problems(app)
    app.include_router(prediction_routes.router)
    app.include_router(status_routes.router)
    app.mount("/static", StaticFiles(directory=PAGE), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    add_docs(app)
    describe(app)
    return app
