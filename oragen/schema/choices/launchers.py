"""What can be chosen of where work is done; it decides no result."""

from typing import Literal

LauncherName = Literal[
    "local",  # this machine: processes, and all its GPUs
    "ray",  # the nodes of a Ray cluster
    "slurm",  # an array of jobs
]
JobsOfInterrupted = Literal[
    "cancel",  # jobs that wait or run are cancelled with the stage
    "leave",  # they go on, and the next run of the stage finds what they have made
]
