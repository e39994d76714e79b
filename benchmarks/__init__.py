"""Measurements of time and size: each module is a command that prints a table and a line of JSON.

    python -m benchmarks.<name>          # see docs/benchmarks.md

Compared ways are measured in turns within one run, so that other load on the machine slows all.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in stages, and before torch is imported
