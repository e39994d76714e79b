"""`/docs`: the description of the interface as a page; all of it comes from here."""

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

REFERENCE: Final = Path(__file__).with_name("reference")
SWAGGER: Final = ("fastapi_offline", "static")  # its files of Swagger UI; nothing of it is imported


def add_docs(app: FastAPI) -> None:
    """Add the page; what it loads is at addresses below its own."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(REFERENCE / "docs.html")

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> FileResponse:
        return FileResponse(REFERENCE / "start.js")

    app.mount("/docs/swagger", StaticFiles(packages=[SWAGGER]), name="swagger")
