"""params.yaml -> typed, complete, checked parameters.

Only stages and the command line read them; library functions take plain values.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from joblib import cpu_count
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from oragen.schema.choices.corpora import AgeSource, Condition, Images, SplitRule, Tracks
from oragen.schema.choices.detection import DetectorName, WindowRule
from oragen.schema.choices.encoders import AudioPoolingName, FacePoolingName
from oragen.schema.choices.heads import HeadName, MaskTypeTraining
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import (
    MODALITIES,
    Balanced,
    EvaluationProtocol,
    Level,
    Modality,
    Precision,
    Split,
)

PARAMS_PATH = Path("params.yaml")
Item = TypeVar("Item", str, int)

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
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

    def as_cache_parameters(self) -> dict[str, Any]:
        """Return plain values, as they go into keys and head.json."""
        return self.model_dump(mode="json")


class _Corpus(_Section):
    root: Path


class GeneratedCorpus(_Corpus):
    reader: Literal["generated"]
    condition: Condition
    num_speakers: Count
    seed: int


class CsvCorpus(_Corpus):
    reader: Literal["csv"]
    table: Path = Path("labels.csv")
    tables: dict[str, Path] = {}  # instead, one a split
    columns: dict[str, str] = {}  # our names -> those of the table


class TimitCorpus(_Corpus):
    reader: Literal["timit"]


class AgenderCorpus(_Corpus):
    reader: Literal["agender"]
    # Which field of the lists holds what, from 0; and what the headerless files hold.
    columns: dict[str, Annotated[int, Field(ge=0)]] = {
        "path": 0, "speaker": 1, "class": 2, "age": 3, "gender": 4,
    }  # fmt: skip
    sample_format: Literal["s16le", "s16be", "u8", "alaw", "mulaw"] = "s16le"
    rate_hz: Count = 8000


class CommonVoiceCorpus(_Corpus):
    reader: Literal["common_voice"]
    languages: Literal["all"] | Names = "all"
    splits: SplitRule = "official"


class LagendaCorpus(_Corpus):
    reader: Literal["lagenda"]
    annotations: Path = Path("lagenda_annotation.csv")


class ImdbCleanCorpus(_Corpus):
    reader: Literal["imdb_clean"]
    images: Images = "1024"


class AfewCorpus(_Corpus):
    reader: Literal["afew"]
    table: Path = Path("afew_age_gender.csv")
    columns: dict[str, str] = {}
    xml_tags: dict[str, str] = {}


class Voxceleb2Corpus(_Corpus):
    reader: Literal["voxceleb2"]
    ages: AgeSource = "enrichment"
    age_column: str = "speaker_age_title_only"
    tracks: Tracks = "both"


class BraveMasksCorpus(_Corpus):
    reader: Literal["brave_masks"]
    table: Path = Path("index.csv")
    cameras: Names = ["c"]


Corpus = Annotated[
    GeneratedCorpus
    | CsvCorpus
    | TimitCorpus
    | AgenderCorpus
    | CommonVoiceCorpus
    | LagendaCorpus
    | ImdbCleanCorpus
    | AfewCorpus
    | Voxceleb2Corpus
    | BraveMasksCorpus,
    Field(discriminator="reader"),
]


class Audio(_Section):
    max_duration_s: Positive


class Speech(_Section):
    threshold: Share
    min_speech_ms: Count
    min_silence_ms: Count
    pad_ms: Annotated[int, Field(ge=0)]


class Faces(_Section):
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


class Windows(_Section):
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


class SoundAugmentation(_Section):
    """How often each change of a waveform happens, see `WaveformAugmentation`."""

    speed: Share
    tempo: Share
    muffle: Share
    noise: Share
    gain: Share
    phone: Share
    codec: Share
    polarity: Share


class PictureAugmentation(_Section):
    """How often each change of a crop happens, see `CropAugmentation`."""

    cover: Share
    flip: Share
    zoom: Share
    colour: Share
    blur: Share


class _Optimisation(_Section):
    """What all trainings are told."""

    batch_size: Annotated[int, Field(ge=2)]
    max_epochs: Count
    patience: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    gradient_clip: Positive
    balance_classes: bool
    gender_weight: Annotated[float, Field(ge=0)]
    age_weight: Annotated[float, Field(ge=0)]
    mask_type_weight: Annotated[float, Field(ge=0)]


class _Finetuning(_Optimisation):
    corpora: Literal["all"] | Names
    seed: int
    precision: Precision
    accumulate_batches: Count


class AudioFinetuning(_Finetuning):
    pooling: AudioPoolingName
    augmentation: SoundAugmentation


class FaceFinetuning(_Finetuning):
    pooling: FacePoolingName
    augmentation: PictureAugmentation


class AudioEncoder(_Section):
    modality: Literal["audio"]
    source: str
    revision: str | None = None
    finetuning: AudioFinetuning | None = None


class FaceEncoder(_Section):
    modality: Literal["face"]
    source: str
    revision: str | None = None
    finetuning: FaceFinetuning | None = None


Encoder = Annotated[AudioEncoder | FaceEncoder, Field(discriminator="modality")]


class Encoders(_Section):
    finetune: Annotated[list[str], AfterValidator(_refuse_repeats)]
    catalogue: dict[Name, Encoder]

    def of(self, modality: Modality) -> list[str]:
        """Return the names of the encoders of a modality."""
        return [name for name, entry in self.catalogue.items() if entry.modality == modality]


class ModalityFeatures(_Section):
    encoder: str
    precision: Precision
    batch_size: Count


class Features(_Section):
    levels: Annotated[list[Level], Field(min_length=1), AfterValidator(_refuse_repeats)]
    audio: ModalityFeatures
    face: ModalityFeatures

    def of(self, modality: Modality) -> ModalityFeatures:
        """Return what is wanted of a modality."""
        return {"audio": self.audio, "face": self.face}[modality]


class Head(_Section):
    variant: HeadName
    level: Level
    mask_type: MaskTypeTraining
    width: Annotated[int, Field(ge=4, multiple_of=4)]  # four attention heads share it
    dropout: Share


class Train(_Optimisation):
    corpora: Literal["all"] | Names
    corpora_of: dict[str, Names]
    seeds: Annotated[list[int], Field(min_length=1), AfterValidator(_refuse_repeats)]
    precision: Precision
    memory_gb: Positive
    drop_modality: Share
    balance_sampling: Annotated[list[Balanced], AfterValidator(_refuse_repeats)]

    @property
    def memory_bytes(self) -> int:
        """Size of the features that are kept in memory."""
        return round(self.memory_gb * 10**9)


class Evaluate(_Section):
    corpora: Literal["all"] | Names
    splits: Annotated[list[Split], Field(min_length=1)]


class Report(_Section):
    num_resamples: Annotated[int, Field(ge=100)]
    num_examples: Annotated[int, Field(ge=0)]


class Execution(_Section):
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    num_devices: Count
    num_workers: Literal["auto"] | Count
    part_mb: Positive
    checkpoint_minutes: Positive

    @property
    def num_processes(self) -> int:
        """How many processes work on clips: as many as there are cores, if it is not said."""
        return cpu_count() if self.num_workers == "auto" else self.num_workers

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
    encoders: Encoders
    features: Features
    use_heads: Names
    heads: dict[Name, Head]
    protocol: EvaluationProtocol
    train: Train
    evaluate: Evaluate
    report: Report
    execution: Execution

    def train_corpora(self, head: str) -> list[str]:
        """Return the corpora to train a head on."""
        return self._chosen(self.train.corpora_of.get(head, self.train.corpora))

    @property
    def evaluate_corpora(self) -> list[str]:
        """The corpora to score on."""
        return self._chosen(self.evaluate.corpora)

    def finetune_corpora(self, encoder: str) -> list[str]:
        """Return the corpora to fine-tune an encoder on."""
        return self._chosen(self.finetuning(encoder).corpora)

    def finetuning(self, encoder: str) -> AudioFinetuning | FaceFinetuning:
        """Return how an encoder of `encoders.finetune` is trained."""
        found = self.encoders.catalogue[encoder].finetuning
        assert found is not None  # checked when params.yaml was read
        return found

    def _chosen(self, corpora: Literal["all"] | list[str]) -> list[str]:
        return self.use_corpora if corpora == "all" else corpora

    @model_validator(mode="after")
    def _check_references(self) -> "Params":
        used, encoders = self.use_corpora, self.encoders
        _check_names("use_corpora", used, "corpora", self.corpora)
        _check_names("train.corpora", self._chosen(self.train.corpora), "use_corpora", used)
        _check_names("train.corpora_of", self.train.corpora_of, "heads", self.heads)
        for head in self.use_heads:
            place = f"train.corpora_of.{head}"
            _check_names(place, self.train_corpora(head), "use_corpora", used)
        _check_names("evaluate.corpora", self.evaluate_corpora, "use_corpora", used)
        _check_names("use_heads", self.use_heads, "heads", self.heads)
        _check_names("encoders.finetune", encoders.finetune, "the catalogue", encoders.catalogue)
        for name in encoders.finetune:
            place = f"encoders.catalogue.{name}"
            if encoders.catalogue[name].finetuning is None:
                raise ValueError(f"{place} stands in encoders.finetune, but has no `finetuning`")
            corpora = self.finetune_corpora(name)
            _check_names(f"{place}.finetuning.corpora", corpora, "use_corpora", used)
        for modality in MODALITIES:
            place = f"features.{modality}.encoder"
            name, fitting = self.features.of(modality).encoder, encoders.of(modality)
            _check_names(place, [name], f"the {modality} encoders", fitting)
        for head in self.use_heads:
            level, levels = self.heads[head].level, self.features.levels
            _check_names(f"heads.{head}.level", [level], "features.levels", levels)
        return self


def _check_names(place: str, names: Iterable[str], catalogue: str, known: Collection[str]) -> None:
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


def read_corpus_entry(entry: dict[str, str]) -> Corpus:
    """Check one entry of `corpora` that does not stand in params.yaml.

    Raises:
        ParamsError: with what is missing.
    """
    try:
        found: Corpus = TypeAdapter(Corpus).validate_python(entry)
    except ValidationError as error:
        lines = [f"  {_describe(issue)}" for issue in error.errors()]
        raise ParamsError(
            "The corpus needs an entry in params.yaml:\n" + "\n".join(lines)
        ) from error
    return found


def _describe(issue: ErrorDetails) -> str:
    """One mistake -> its place, what is expected there, and what was found."""
    steps = [str(step) for step in issue["loc"]]
    for catalogue in (["corpora"], ["encoders", "catalogue"]):
        if steps[: len(catalogue)] == catalogue:
            kind = len(catalogue) + 1  # what kind of entry it is stands nowhere in the file
            del steps[kind : kind + 1]
    steps = [step for step in steps if "[" not in step]  # pydantic's names of keys and choices
    message = issue["msg"].removeprefix("Value error, ")
    found = "" if issue["type"] in {"value_error", "missing"} else f" (found {issue['input']!r})"
    place = f"{'.'.join(steps)}: " if steps else ""
    return f"{place}{message}{found}"
