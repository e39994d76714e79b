"""Dockerfile and compose.yaml -> a service with few rights, made of files that are there."""

import json
import re
from typing import Any, Final

import pytest
import typer.main
import yaml

from oragen.app.application import make_app
from oragen.app.options import ServeOptions
from oragen.app.spool import Spool
from oragen.cli.main import app
from tests.project import REPOSITORY

DOCKERFILE: Final = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICE: Final[dict[str, Any]] = COMPOSE["services"]["oragen"]
MB: Final = 10**6


def last(instruction: str) -> str:
    *_, value = re.finditer(rf"^{instruction} (.*)$", DOCKERFILE, re.MULTILINE)
    return value[1].strip()


def test_the_image_is_made_of_files_that_are_there_and_sent_to_the_engine() -> None:
    sent = (REPOSITORY / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    used = {name for names in copied for name in names.split()}
    assert all((REPOSITORY / name).exists() for name in used)
    assert sent[1] == "*"
    assert {line[1:] for line in sent if line.startswith("!")} == used


def test_the_process_is_not_root() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_commands_are_those_of_oragen() -> None:
    """What the image starts, with what compose.yaml adds."""
    started: list[str] = json.loads(last("ENTRYPOINT")) + SERVICE["command"]
    name, *arguments = started
    assert name == "oragen"
    command = typer.main.get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
    options = command.make_context("serve", arguments[1:]).params
    assert options["model"] == SERVICE["volumes"][0]["target"]
    assert options["host"] == "0.0.0.0"
    assert 4 * options["max_upload_mb"] * MB < 2**31  # of /tmp


def test_health_is_asked_where_the_service_tells_it() -> None:
    address = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", DOCKERFILE)
    assert address is not None
    described = make_app(pytest.fail, ServeOptions(), Spool(), print).openapi()
    assert address[2] in described["paths"]
    assert int(address[1]) == ServeOptions().port == int(last("EXPOSE"))


def test_compose_gives_few_rights_and_lets_nobody_else_in() -> None:
    assert [port.rpartition(":")[0] for port in SERVICE["ports"]] == ["127.0.0.1:8000"]
    assert all(volume["read_only"] for volume in SERVICE["volumes"])
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= SERVICE.keys()
    assert "privileged" not in SERVICE
    assert SERVICE["environment"]["ORAGEN_TOKEN"] == "${ORAGEN_TOKEN:-}"  # none is written here
