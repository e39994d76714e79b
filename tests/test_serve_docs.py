"""docs/serve.md -> it names all requests, options and metrics of the service, and no others."""

import re
from typing import Final, get_args

import pytest
import typer.main

from oragen.app.application import make_app
from oragen.app.measured import Measured
from oragen.app.options import ServeOptions
from oragen.app.pictures import Kind
from oragen.app.spool import Spool
from oragen.cli.main import app
from tests.project import REPOSITORY

PAGE: Final = (REPOSITORY / "docs" / "serve.md").read_text(encoding="utf-8")


def test_all_requests_are_described() -> None:
    described = make_app(pytest.fail, ServeOptions(), Spool(), print).openapi()
    paths = {path.replace("{kind}", kind) for path in described["paths"] for kind in get_args(Kind)}
    rows = [line.split("|")[1] for line in PAGE.splitlines() if re.match(r"\| `[A-Z]+ /", line)]
    named = set(re.findall(r"(/[\w/.{}]+)", "".join(rows)))
    assert named | {"/v1/jobs/{key}/drawn.png"} == paths
    assert "drawn.png" in PAGE


def test_all_options_are_described() -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"^\| `(--[\w-]+)`", PAGE, re.MULTILINE)) == options - {"--help"}


def test_all_metrics_are_described() -> None:
    measured = {
        metric.name + "_total" * (metric.type == "counter")
        for metric in Measured().registry.collect()
    }
    assert set(re.findall(r"^\| `(oragen_\w+)`", PAGE, re.MULTILINE)) == measured
