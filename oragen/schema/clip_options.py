"""The options that prepare a clip, in params.yaml and in a saved head -> what each may be."""

from typing import Annotated, Final

from pydantic import Field

MIN_CROP_PX: Final = 16
MAX_CROP_PX: Final = 1024
# What a clip lasts, in seconds: at most a day.
Duration = Annotated[float, Field(gt=0, le=86_400)]
ScoreShare = Annotated[float, Field(ge=0, le=1)]
LeastMilliseconds = Annotated[int, Field(ge=1, le=3_600_000)]
PadMilliseconds = Annotated[int, Field(ge=0, le=60_000)]
CropGap = Annotated[int, Field(ge=0, le=86_400)]
CropMargin = Annotated[float, Field(ge=0, le=2)]
CropSide = Annotated[int, Field(ge=MIN_CROP_PX, le=MAX_CROP_PX)]
# Attention over a window grows with its square: two minutes of sound are 6,000 positions.
# The first audio frame of a speech encoder needs 400 samples at 16 kHz.
WindowLength = Annotated[float, Field(ge=0.025, le=120)]
# A clip of an hour has 180,000 windows at 20 ms, one audio frame.
WindowHop = Annotated[float, Field(ge=0.02, le=120)]
# A stretch holds windows, so it is bounded as they are.
StretchLength = Annotated[float, Field(ge=0.025, le=120)]
StretchContext = Annotated[float, Field(ge=0, le=60)]


def refuse_windows_out_of_order(*, length_s: float, hop_s: float, min_length_s: float) -> None:
    """Refuse a hop that leaves gaps, and a least length that no window has.

    Raises:
        ValueError: says which.
    """
    if min_length_s > length_s or hop_s > length_s:
        raise ValueError(
            f"min_length_s ({min_length_s:g}) and hop_s ({hop_s:g}) must not exceed "
            f"length_s ({length_s:g})"
        )
