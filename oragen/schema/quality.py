"""The table of how much speech and face each clip has, and how good they are."""

from typing import Final

import pyarrow as pa

from oragen.schema.tables import Table

MEASURES: Final = ("speech_s", "snr_db", "face_px", "sharpness", "num_crops")
QUALITY: Final = Table(
    name="quality",
    columns=pa.schema(
        [
            pa.field("clip_id", pa.string(), nullable=False),
            pa.field("speech_key", pa.string()),  # what the sound was measured by; null = no sound
            pa.field("faces_key", pa.string()),  # ... and the crops
            pa.field("speech_s", pa.float64()),  # length of all speech
            pa.field("snr_db", pa.float64()),  # estimated; null = no speech
            pa.field("face_px", pa.float64()),  # side of the face in the picture
            pa.field("sharpness", pa.float64()),  # of the crops
            pa.field("num_crops", pa.int64()),
        ]
    ),
    key=("clip_id",),
    vocabulary={},
)
