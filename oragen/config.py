"""params.yaml -> typed, complete, checked parameters.

Only stages and the command line read them; library functions take plain values.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from oragen.schema import UserError

PARAMS_PATH = Path("params.yaml")

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Precision = Literal["fp32", "bf16", "fp16"]


class ParamsError(UserError):
    """params.yaml asks for something that does not exist or does not fit."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def as_ingredients(self) -> dict[str, Any]:
        """Return plain values, as they go into keys and head.json."""
        return self.model_dump(mode="json")


class GeneratedCorpus(_Section):
    reader: Literal["generated"]
    root: Path
    condition: Literal["studio", "phone"]
    num_speakers: Count
    seed: int


class CsvCorpus(_Section):
    reader: Literal["csv"]
    root: Path
    table: Path = Path("labels.csv")


Corpus = Annotated[GeneratedCorpus | CsvCorpus, Field(discriminator="reader")]


class Audio(_Section):
    max_duration_s: Positive


class Speech(_Section):
    threshold: Share
    min_speech_ms: Count
    min_silence_ms: Count
    pad_ms: Annotated[int, Field(ge=0)]


class Faces(_Section):
    detector: Literal["yunet", "cascade", "none"]
    weights: Path | None
    min_score: Share
    max_gap: Annotated[int, Field(ge=0)]
    margin: Annotated[float, Field(ge=0, le=2)]
    crop_px: Annotated[int, Field(ge=16, le=1024)]
    max_duration_s: Positive


class Windows(_Section):
    rule: Literal["every_overlap", "paper"]
    length_s: Positive
    hop_s: Positive
    min_length_s: Positive

    @model_validator(mode="after")
    def _check_order(self) -> "Windows":
        if self.min_length_s > self.length_s or self.hop_s > self.length_s:
            raise ValueError("min_length_s and hop_s must not exceed length_s")
        return self


class Encoder(_Section):
    modality: Literal["audio", "face"]
    source: str
    revision: str | None = None


class ModalityFeatures(_Section):
    encoder: str
    precision: Precision
    batch_size: Count


class Features(_Section):
    audio: ModalityFeatures
    face: ModalityFeatures


class Head(_Section):
    name: Literal[
        "joint", "cross_attention", "audio_only", "face_only", "concatenation", "late_fusion"
    ]
    width: Count
    dropout: Share


class Train(_Section):
    corpora: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[int], Field(min_length=1)]
    batch_size: Annotated[int, Field(ge=2)]
    max_epochs: Count
    patience: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    gradient_clip: Positive
    drop_modality: Share
    gender_weight: Annotated[float, Field(ge=0)]
    age_weight: Annotated[float, Field(ge=0)]
    mask_type_weight: Annotated[float, Field(ge=0)]
    balance_classes: bool


class Evaluate(_Section):
    corpora: Annotated[list[str], Field(min_length=1)]
    splits: Annotated[list[Literal["train", "dev", "test"]], Field(min_length=1)]


class Execution(_Section):
    device: str
    num_workers: Count
    part_mb: Positive

    @property
    def part_bytes(self) -> int:
        """Size at which a part is written."""
        return round(self.part_mb * 2**20)


class Params(_Section):
    """The whole of params.yaml."""

    use_corpora: Annotated[list[str], Field(min_length=1)]
    corpora: dict[str, Corpus]
    audio: Audio
    speech: Speech
    faces: Faces
    windows: Windows
    encoders: dict[str, Encoder]
    features: Features
    head: Head
    train: Train
    evaluate: Evaluate
    execution: Execution

    @model_validator(mode="after")
    def _check_references(self) -> "Params":
        for section, names in {
            "use_corpora": self.use_corpora,
            "train.corpora": self.train.corpora,
            "evaluate.corpora": self.evaluate.corpora,
        }.items():
            known = self.corpora if section == "use_corpora" else self.use_corpora
            where = "corpora" if section == "use_corpora" else "use_corpora"
            for name in names:
                if name not in known:
                    raise ValueError(f"{section}: {name!r} is not in {where} ({', '.join(known)})")
        for modality in ("audio", "face"):
            self._check_encoder(modality)
        return self

    def _check_encoder(self, modality: Literal["audio", "face"]) -> None:
        name = getattr(self.features, modality).encoder
        fitting = [key for key, entry in self.encoders.items() if entry.modality == modality]
        if name not in fitting:
            raise ValueError(
                f"features.{modality}.encoder: {name!r} is no {modality} encoder of `encoders` "
                f"({', '.join(fitting)})"
            )


def load_params(path: Path = PARAMS_PATH) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: with the place, what was found and what is expected.
    """
    try:
        return Params.model_validate(yaml.safe_load(path.read_text()))
    except FileNotFoundError as error:
        raise ParamsError(f"{path} is missing. Run this in the project's folder.") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(step) for step in issue['loc']) or 'params'}: {issue['msg']}"
            + (f" (found {issue['input']!r})" if issue["type"] != "value_error" else "")
            for issue in error.errors()
        ]
        raise ParamsError(f"{path} cannot be used:\n" + "\n".join(lines)) from error
