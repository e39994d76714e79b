"""The parameters saved with a head -> typed options of speech, faces and windows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oragen.detection.faces import CropOptions
from oragen.detection.speech import SpeechOptions
from oragen.detection.windows import Window, cut_windows
from oragen.schema.choices.detection import WindowRule
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Span


@dataclass(frozen=True)
class WindowOptions:
    """Parameters of windows, in samples; see `cut_windows`."""

    rule: WindowRule
    length: int
    hop: int
    min_length: int


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
        options = self.windows
        return cut_windows(
            num_samples,
            speech,
            crop_samples,
            rule=options.rule,
            length=options.length,
            hop=options.hop,
            min_length=options.min_length,
            is_still=is_still,
        )


def read_preprocessing(saved: Mapping[str, Any]) -> Preprocessing:
    """Read what `train_head` saved under `preprocessing`."""
    faces, windows = saved["faces"], saved["windows"]
    weights = faces["weights"]
    in_samples = {
        name: round(windows[f"{name}_s"] * SAMPLE_RATE_HZ)
        for name in ("length", "hop", "min_length")
    }
    return Preprocessing(
        max_audio_s=saved["audio"]["max_duration_s"],
        speech=SpeechOptions(**saved["speech"]),
        faces=CropOptions(**faces | {"weights": None if weights is None else Path(weights)}),
        windows=WindowOptions(rule=windows["rule"], **in_samples),
    )
