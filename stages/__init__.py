"""The stages of dvc.yaml: each reads files of data/ and params.yaml, calls the library, and writes.

They run as modules from the project's root and are not installed: `python -m stages.report`.
"""

import os

# Must be set before torch is imported. Threads that wait for each other by spinning make a training
# step 25 times slower (4.0 s against 0.16 s, two threads on two cores) as soon as another process
# wants a core too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if "DVC_STAGE" in os.environ:
    import oragen  # noqa: F401 - sets what keeps libraries silent, also those of another process
    from stages.warm.client import hand_over

    hand_over()  # does not return if another process runs the stage
