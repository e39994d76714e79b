"""The `oragen` command."""

from oragen.cli.main import app, run

__all__ = ["app", "run"]
