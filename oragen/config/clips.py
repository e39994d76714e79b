"""Sections of params.yaml that prepare clips -> how sound, speech, faces and windows are made."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from oragen.config.section import Count, Positive, Section, Share
from oragen.schema.choices.face_detectors import DetectorName
from oragen.schema.choices.windows import WindowRule


class Audio(Section):
    max_duration_s: Positive


class Speech(Section):
    threshold: Share
    min_speech_ms: Count
    min_silence_ms: Count
    pad_ms: Annotated[int, Field(ge=0)]


class Faces(Section):
    detector: DetectorName
    weights: Path | None
    min_score: Share
    max_gap: Annotated[int, Field(ge=0)]
    margin: Annotated[float, Field(ge=0, le=2)]
    crop_px: Annotated[int, Field(ge=16, le=1024)]
    max_duration_s: Positive

    def as_cache_parameters(self) -> dict[str, Any]:
        """Return plain values, as they go into keys: what the weights are counts, not where."""
        return self.model_dump(mode="json", exclude={"weights"})


class Windows(Section):
    rule: WindowRule
    length_s: Positive
    hop_s: Positive
    # The first audio frame of a speech encoder needs 400 samples at 16 kHz.
    min_length_s: Annotated[float, Field(ge=0.025)]

    @model_validator(mode="after")
    def _check_order(self) -> "Windows":
        if self.min_length_s > self.length_s or self.hop_s > self.length_s:
            raise ValueError(
                f"min_length_s ({self.min_length_s:g}) and hop_s ({self.hop_s:g}) must not exceed "
                f"length_s ({self.length_s:g})"
            )
        return self
