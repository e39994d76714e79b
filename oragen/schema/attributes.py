"""The table of what a user's own columns say of each clip: groups of a report."""

from typing import Final

import pyarrow as pa

from oragen.schema.tables import Table

ATTRIBUTES: Final = Table(
    name="attributes",
    columns=pa.schema(
        [
            pa.field("clip_id", pa.string(), nullable=False),
            pa.field("name", pa.string(), nullable=False),  # of the column, as params.yaml has it
            pa.field("value", pa.string(), nullable=False),  # what is not known has no row
        ]
    ),
    key=("clip_id", "name"),
    vocabulary={},
)
