"""An application -> its description at /openapi.json, with the published schema of predictions."""

import json
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from oragen.app.forms import ProblemForm, prediction_schema
from oragen.app.problems import MEDIA_TYPE

REFERENCE: Final = "#/components/schemas/"
STATUSES: Final = (400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 422, 500, 503, 507)
PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": f"{REFERENCE}ProblemForm"}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": HTTPStatus(status).phrase, "content": PROBLEM} for status in STATUSES
}
TOKEN: Final = {"type": "http", "scheme": "bearer", "description": "If the service asks for one."}


def describe(app: FastAPI) -> None:
    """Put the schema of a prediction into OpenAPI, as it is published, and what else is shared."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(make())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(openapi: dict[str, Any]) -> None:
    text = json.dumps(prediction_schema()).replace("#/$defs/", REFERENCE)
    prediction = json.loads(text)
    schemas = openapi["components"]["schemas"]
    schemas |= prediction.pop("$defs") | {
        "Prediction": prediction,
        "ProblemForm": ProblemForm.model_json_schema(),
    }
    schemas["JobForm"]["properties"]["prediction"] = {
        "anyOf": [{"$ref": f"{REFERENCE}Prediction"}, {"type": "null"}]
    }
    openapi["components"]["securitySchemes"] = {"token": TOKEN}
    openapi["security"] = [{}, {"token": []}]
