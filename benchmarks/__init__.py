"""How fast and how small: each module is one command that prints a table and a line of JSON.

    python -m benchmarks.<name>          # see docs/benchmarks.md

What is compared is measured in turns within one run, so that a busy machine is busy for both.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in stages, and before torch is imported
