"""The command line -> calls of the library: the `oragen` command."""

import os

from oragen.cli.main import app, run

# Read when torch is imported, which only the commands do that need it. Its threads would wait for
# each other by spinning, and so take the cores from the processes that decode clips.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["app", "run"]
