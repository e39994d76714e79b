"""Sections of params.yaml that prepare clips -> how sound, speech, faces and windows are made."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from oragen.config.section import Duration, Place, Section, Share
from oragen.schema.choices.face_detectors import DetectorChoice, DetectorName
from oragen.schema.choices.windows import WindowRule


class Audio(Section):
    max_duration_s: Duration


class Speech(Section):
    threshold: Share
    min_speech_ms: Annotated[int, Field(ge=1, le=3_600_000)]
    min_silence_ms: Annotated[int, Field(ge=1, le=3_600_000)]
    pad_ms: Annotated[int, Field(ge=0, le=60_000)]


class Faces(Section):
    detector: DetectorChoice
    weights: Place | None
    min_score: Share
    max_gap: Annotated[int, Field(ge=0, le=86_400)]
    margin: Annotated[float, Field(ge=0, le=2)]
    crop_px: Literal["auto"] | Annotated[int, Field(ge=16, le=1024)]
    max_duration_s: Duration

    @property
    def is_settled(self) -> bool:
        """Whether nothing is `auto`: only then it can be part of a key."""
        return "auto" not in (self.detector, self.crop_px)

    def settle(self, detector: DetectorName, crop_px: int) -> "Faces":
        """Return the same with what `auto` stands for."""
        return self.model_copy(update={"detector": detector, "crop_px": crop_px})

    def as_cache_parameters(self) -> dict[str, Any]:
        """Return plain values, as they go into keys: what the weights are counts, not where."""
        assert self.is_settled, "read_settled_faces gives what can be part of a key"
        return self.model_dump(mode="json", exclude={"weights"})


class Windows(Section):
    rule: WindowRule
    # Attention over a window grows with its square: two minutes of sound are 6,000 positions.
    length_s: Annotated[float, Field(ge=0.025, le=120)]
    # A clip of an hour has 180,000 windows at 20 ms, one audio frame.
    hop_s: Annotated[float, Field(ge=0.02, le=120)]
    # The first audio frame of a speech encoder needs 400 samples at 16 kHz.
    min_length_s: Annotated[float, Field(ge=0.025, le=120)]

    @model_validator(mode="after")
    def _check_order(self) -> "Windows":
        if self.min_length_s > self.length_s or self.hop_s > self.length_s:
            raise ValueError(
                f"min_length_s ({self.min_length_s:g}) and hop_s ({self.hop_s:g}) must not exceed "
                f"length_s ({self.length_s:g})"
            )
        return self
