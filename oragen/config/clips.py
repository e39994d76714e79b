"""Sections of params.yaml that prepare clips -> how sound, speech, faces and windows are made."""

from typing import Annotated, Any, Literal

from pydantic import model_validator

from oragen.config.section import Place, Section, auto_or
from oragen.schema.choices.face_detectors import DetectorChoice, DetectorName
from oragen.schema.choices.windows import WindowRule
from oragen.schema.clip_options import (
    MAX_CROP_PX,
    MIN_CROP_PX,
    CropGap,
    CropMargin,
    Duration,
    LeastMilliseconds,
    PadMilliseconds,
    ScoreShare,
    WindowHop,
    WindowLength,
    refuse_windows_out_of_order,
)


class Audio(Section):
    max_duration_s: Duration


class Speech(Section):
    threshold: ScoreShare
    min_speech_ms: LeastMilliseconds
    min_silence_ms: LeastMilliseconds
    pad_ms: PadMilliseconds


class Faces(Section):
    detector: DetectorChoice
    weights: Place | None
    min_score: ScoreShare
    max_gap: CropGap
    margin: CropMargin
    crop_px: Annotated[Literal["auto"] | int, auto_or(MIN_CROP_PX, MAX_CROP_PX)]
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
        assert self.is_settled, "settle gives what can be part of a key"
        return self.model_dump(mode="json", exclude={"weights"})


class Windows(Section):
    rule: WindowRule
    length_s: WindowLength
    hop_s: WindowHop
    min_length_s: WindowLength

    @model_validator(mode="after")
    def _check_order(self) -> "Windows":
        refuse_windows_out_of_order(
            length_s=self.length_s, hop_s=self.hop_s, min_length_s=self.min_length_s
        )
        return self
