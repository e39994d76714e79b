"""params.yaml -> typed, complete, checked parameters.

Only stages and the command line read them; library functions take plain values.
"""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from oragen.schema import UserError

PARAMS_PATH = Path("params.yaml")
Item = TypeVar("Item", str, int)

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Precision = Literal["fp32", "bf16", "fp16"]
# The name of a corpus or an encoder is also the name of a folder and of a DVC stage.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class ParamsError(UserError):
    """params.yaml asks for something that does not exist or does not fit."""


def _refuse_repeats(items: list[Item]) -> list[Item]:
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"{item!r} stands there twice")
    return items


Names = Annotated[list[str], Field(min_length=1), AfterValidator(_refuse_repeats)]


class _Section(BaseModel):
    # Infinity and NaN cannot be part of a key.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, section: object) -> object:
        for key in section if isinstance(section, dict) else ():
            if key not in cls.model_fields:
                raise ValueError(f"there is no {key!r}{_suggest(str(key), cls.model_fields)}")
        return section

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
    width: Annotated[int, Field(ge=4, multiple_of=4)]  # four attention heads share it
    dropout: Share


class Train(_Section):
    corpora: Literal["all"] | Names
    seeds: Annotated[list[int], Field(min_length=1), AfterValidator(_refuse_repeats)]
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
    corpora: Literal["all"] | Names
    splits: Annotated[list[Literal["train", "dev", "test"]], Field(min_length=1)]


class Execution(_Section):
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    num_workers: Count
    part_mb: Positive

    @property
    def part_bytes(self) -> int:
        """Size at which a part is written."""
        return round(self.part_mb * 2**20)


class Params(_Section):
    """The whole of params.yaml."""

    use_corpora: Names
    corpora: dict[Name, Corpus]
    audio: Audio
    speech: Speech
    faces: Faces
    windows: Windows
    encoders: dict[Name, Encoder]
    features: Features
    head: Head
    train: Train
    evaluate: Evaluate
    execution: Execution

    @property
    def train_corpora(self) -> list[str]:
        """The corpora to train on."""
        return self.use_corpora if self.train.corpora == "all" else self.train.corpora

    @property
    def evaluate_corpora(self) -> list[str]:
        """The corpora to score on."""
        return self.use_corpora if self.evaluate.corpora == "all" else self.evaluate.corpora

    @model_validator(mode="after")
    def _check_references(self) -> "Params":
        _check_names("use_corpora", self.use_corpora, "corpora", self.corpora)
        _check_names("train.corpora", self.train_corpora, "use_corpora", self.use_corpora)
        _check_names("evaluate.corpora", self.evaluate_corpora, "use_corpora", self.use_corpora)
        for modality in ("audio", "face"):
            fitting = [name for name, found in self.encoders.items() if found.modality == modality]
            name = (self.features.audio if modality == "audio" else self.features.face).encoder
            catalogue = f"the {modality} encoders of `encoders`"
            _check_names(f"features.{modality}.encoder", [name], catalogue, fitting)
        return self


def _check_names(place: str, names: list[str], catalogue: str, known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{place}: {name!r} is not in {catalogue}{_suggest(name, known)}")


def _suggest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f".{guess} There are: {', '.join(known) or 'none'}."


def load_params(path: Path = PARAMS_PATH) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: with the place, what was found and what is expected.
    """
    try:
        return Params.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ParamsError(
            f"{path} cannot be read ({error.strerror}). Run this in the project's folder."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {_describe(issue)}" for issue in error.errors()]
        raise ParamsError(f"{path} cannot be used:\n" + "\n".join(lines)) from error


def _describe(issue: ErrorDetails) -> str:
    """One mistake -> its place, what is expected there, and what was found."""
    steps = [str(step) for step in issue["loc"]]
    if steps[:1] == ["corpora"]:
        del steps[2:3]  # the kind of corpus, which stands nowhere in the file
    steps = [step for step in steps if "[" not in step]  # pydantic's names of keys and choices
    message = issue["msg"].removeprefix("Value error, ")
    found = "" if issue["type"] in {"value_error", "missing"} else f" (found {issue['input']!r})"
    place = f"{'.'.join(steps)}: " if steps else ""
    return f"{place}{message}{found}"
