"""params.yaml -> typed, complete, checked parameters.

Only stages and the command line read them; library functions take plain values.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError, model_validator

from oragen.config.clips import Audio, Faces, Speech, Windows
from oragen.config.corpora import Corpus, CsvCorpus
from oragen.config.encoders import AudioFinetuning, Encoder, Encoders, FaceFinetuning, Features
from oragen.config.execution import Execution
from oragen.config.heads import Evaluate, Head, Report, Train
from oragen.config.messages import ParamsError, explain, misplaced, suggest
from oragen.config.reading import read_document
from oragen.config.section import Name, Names, Section
from oragen.schema.choices.encoders import OFF_THE_SHELF, OFF_THE_SHELF_HEAD, RESEMBLYZER
from oragen.schema.choices.grouping import GROUP_COLUMNS
from oragen.schema.choices.heads import WITHOUT_LAYER_WEIGHTS
from oragen.schema.choices.protocols import EvaluationProtocol
from oragen.schema.names import shorten
from oragen.schema.vocabulary import LEVELS_OF_LAYERS, LEVELS_OF_VIEWS, MODALITIES

Entry = TypeVar("Entry")

PARAMS_PATH = Path("params.yaml")


class Params(Section):
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

    def corpus(self, name: str) -> Corpus:
        """Return the entry of a corpus."""
        return _find("corpora", name, self.corpora)

    def group_columns(self, corpus: str) -> list[str]:
        """Return the columns of a corpus' own table that clips may be grouped by."""
        entry = self.corpus(corpus)
        return entry.group_columns if isinstance(entry, CsvCorpus) else []

    def encoder(self, name: str) -> Encoder:
        """Return the entry of an encoder."""
        return _find("encoders.catalogue", name, self.encoders.catalogue)

    def head(self, name: str) -> Head:
        """Return the entry of a head."""
        return _find("heads", name, self.heads)

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
                problem = "is listed in encoders.finetune, but has no `finetuning`"
                raise misplaced(place, f"{place} {problem}")
            corpora = self.finetune_corpora(name)
            _check_names(f"{place}.finetuning.corpora", corpora, "use_corpora", used)
        for modality in MODALITIES:
            place = f"features.{modality}.encoder"
            name, fitting = self.features.of(modality).encoder, encoders.of(modality)
            _check_names(place, [name], f"the {modality} encoders", fitting)
        own = dict.fromkeys(name for corpus in self.corpora for name in self.group_columns(corpus))
        known = [*GROUP_COLUMNS, *own]  # also those of corpora that are not in use at present
        _check_names("report.group_by", self.report.group_by, "the columns", known)
        self._check_stretches()
        self._check_layers()
        if OFF_THE_SHELF in encoders.catalogue:
            place = f"encoders.catalogue.{OFF_THE_SHELF}"
            taken = "the head off_the_shelf keeps its features under this name; choose another"
            raise misplaced(place, f"{place}: {taken}")
        for head in self.use_heads:
            self._check_layer_use(head)
            if OFF_THE_SHELF_HEAD in (head, self.heads[head].variant):
                self._check_untrained(head)
                continue
            level, levels = self.heads[head].level, self.features.levels
            _check_names(f"heads.{head}.level", [level], "features.levels", levels)
            self._check_weights(head)
        return self

    def _check_stretches(self) -> None:
        """Refuse stretches of sound that hold no window, or levels that are of whole windows."""
        audio, length_s = self.features.audio, self.windows.length_s
        if audio.span == "window":
            return
        if self.encoder(audio.encoder).source == RESEMBLYZER:
            raise misplaced(
                "features.audio.span",
                "features.audio.span is clip, and the speaker encoder of Resemblyzer gives vectors "
                "of windows. Set span: window",
            )
        if audio.stretch_s < length_s:
            raise misplaced(
                "features.audio.stretch_s",
                f"features.audio.stretch_s ({audio.stretch_s:g}) must be at least "
                f"windows.length_s ({length_s:g}): a stretch holds a window",
            )
        if whole := [level for level in self.features.levels if level not in LEVELS_OF_VIEWS]:
            raise misplaced(
                "features.levels",
                f"features.levels: {whole[0]} is of a whole window, and features.audio.span is "
                f"clip. Choose among {', '.join(LEVELS_OF_VIEWS)}, or span: window",
            )

    def _check_layers(self) -> None:
        """Refuse to keep each audio frame of all layers, which take the space of many encoders."""
        if self.features.audio.layers == "all" and "intermediate" in self.features.levels:
            raise misplaced(
                "features.audio.layers",
                "features.audio.layers is all, and features.levels has intermediate: each audio "
                "frame of each layer would be kept. Choose the level pooled, or list some layers",
            )

    def _check_layer_use(self, head: str) -> None:
        """Refuse to weigh layers where none lie side by side, or by a head that does not do it."""
        entry, place = self.heads[head], f"heads.{head}.audio_layers"
        if entry.audio_layers != "weighted":
            return
        if entry.variant in WITHOUT_LAYER_WEIGHTS:
            problem = f"the variant {entry.variant} weighs no layers. Leave it out"
        elif entry.level not in LEVELS_OF_LAYERS:
            problem = (
                f"the level {entry.level} is of no hidden layers. Leave it out, or set level: "
                f"{' or '.join(LEVELS_OF_LAYERS)}"
            )
        elif self.features.audio.layers == "last" or len(self.features.audio.layers) == 1:
            problem = (
                "features.audio.layers names one layer. List several there, such as [6, 12], or "
                "leave it out"
            )
        else:
            return
        raise misplaced(place, f"{place} is weighted, and {problem}")

    def _check_untrained(self, head: str) -> None:
        """Refuse a head `off_the_shelf` that goes by `features`, or has mask types."""
        entry = self.heads[head]
        found = (head, entry.variant, entry.level, entry.mask_type)
        if found != (OFF_THE_SHELF_HEAD, OFF_THE_SHELF_HEAD, "late", "none"):
            raise misplaced(
                f"heads.{head}",
                f"heads.{head}: the head off_the_shelf has this name, `variant: off_the_shelf`, "
                f"`level: late` and `mask_type: none`; found {', '.join(found)}",
            )

    def _check_weights(self, head: str) -> None:
        """Refuse a training without a task: unless `together`, mask types come later or never."""
        how, train = self.heads[head].mask_type, self.train
        if how != "together" and not (train.gender_weight or train.age_weight):
            raise misplaced(
                f"heads.{head}.mask_type",
                f"heads.{head}.mask_type: {how} trains on gender and age, but train.gender_weight "
                "and train.age_weight are 0. Give one a weight above 0, or choose `together`",
            )


def _find(place: str, name: str, catalogue: Mapping[str, Entry]) -> Entry:
    if name not in catalogue:
        found = shorten(repr(name))
        raise ParamsError(f"{found} is not in {place} of params.yaml{suggest(name, catalogue)}")
    return catalogue[name]


def _check_names(place: str, names: Iterable[str], catalogue: str, known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            found = shorten(repr(name))
            raise misplaced(place, f"{place}: {found} is not in {catalogue}{suggest(name, known)}")


def load_params(path: Path = PARAMS_PATH) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: with the place, what was found and what is expected.
    """
    document = read_document(path)
    try:
        return Params.model_validate(document.content)
    except ValidationError as error:
        raise ParamsError(f"{path} cannot be used:\n{explain(error, document.line_of)}") from error
