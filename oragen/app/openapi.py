"""An application -> its description at /openapi.json, with the published schema of predictions."""

import json
from typing import Any, Final

from fastapi import FastAPI

from oragen.app.forms import prediction_schema

REFERENCE: Final = "#/components/schemas/"


def describe(app: FastAPI) -> None:
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
