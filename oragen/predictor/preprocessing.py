"""The parameters saved with a head -> typed options of speech, faces and windows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oragen.detection.faces import CropOptions
from oragen.detection.speech import SpeechOptions
from oragen.detection.windows import Window, WindowOptions, cut_windows
from oragen.schema.vocabulary import Span


@dataclass(frozen=True)
class Preprocessing:
    """How a clip becomes windows; the same as in training, or predictions would be wrong."""

    max_audio_s: float
    speech: SpeechOptions
    faces: CropOptions
    windows: WindowOptions

    def cut(
        self, num_samples: int, speech: list[Span], crop_samples: list[int], *, is_still: bool
    ) -> list[Window]:
        """Cut a clip into windows, see `cut_windows`."""
        return cut_windows(
            num_samples, speech, crop_samples, options=self.windows, is_still=is_still
        )


def read_preprocessing(saved: Mapping[str, Any]) -> Preprocessing:
    """Read what `train_head` saved under `preprocessing`."""
    faces = saved["faces"]
    weights = faces["weights"]
    return Preprocessing(
        max_audio_s=saved["audio"]["max_duration_s"],
        speech=SpeechOptions(**saved["speech"]),
        faces=CropOptions(**faces | {"weights": None if weights is None else Path(weights)}),
        windows=WindowOptions.from_seconds(**saved["windows"]),
    )
