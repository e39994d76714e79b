"""What features can be exported to, for those who train with something else."""

from typing import Literal

ExportFormat = Literal[
    "parquet",  # columns in files that most programs read
    "lance",  # columns of which any row is read at the same cost
    "webdataset",  # tar files, a sample a window, to be read one after the other
]
