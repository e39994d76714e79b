"""The command line -> calls of the library: the `oragen` command."""

from oragen.cli.main import app, run

__all__ = ["app", "run"]
