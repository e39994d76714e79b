"""`encoders` and `features` of params.yaml -> which encoders there are, and how they are used."""

from typing import Annotated, Any, Literal

from pydantic import Field

from oragen.config.optimisation import Optimisation
from oragen.config.section import BatchSize, Name, Names, NoRepeats, Section, Seed, Share, Words
from oragen.schema.choices.encoders import (
    AudioPoolingName,
    AudioSpan,
    FacePoolingName,
    NamedLayers,
)
from oragen.schema.clip_options import StretchContext, StretchLength
from oragen.schema.vocabulary import Level, Modality, Precision


class SoundAugmentation(Section):
    """How often each change of a waveform happens, see `WaveformAugmentation`."""

    speed: Share
    tempo: Share
    muffle: Share
    noise: Share
    gain: Share
    phone: Share
    codec: Share
    polarity: Share


class PictureAugmentation(Section):
    """How often each change of a crop happens, see `CropAugmentation`."""

    cover: Share
    flip: Share
    zoom: Share
    colour: Share
    blur: Share


class Lora(Section):
    """Low-rank adapters in place of all weights of an encoder, see `add_lora`."""

    rank: Annotated[int, Field(ge=1, le=1024)]
    alpha: Annotated[int, Field(ge=1, le=65_536)]


class _Finetuning(Optimisation):
    corpora: Literal["all"] | Names
    seed: Seed
    precision: Precision
    accumulate_batches: Annotated[int, Field(ge=1, le=65_536)]
    lora: Lora | None = None  # None: all weights are trained

    def as_cache_parameters(self) -> dict[str, Any]:
        """Return plain values; without LoRA those that there were before one could choose it."""
        found = super().as_cache_parameters()
        return {key: value for key, value in found.items() if (key, value) != ("lora", None)}


class AudioFinetuning(_Finetuning):
    pooling: AudioPoolingName
    augmentation: SoundAugmentation


class FaceFinetuning(_Finetuning):
    pooling: FacePoolingName
    augmentation: PictureAugmentation


class AudioEncoder(Section):
    modality: Literal["audio"]
    source: Words
    revision: Words | None = None
    finetuning: AudioFinetuning | None = None


class FaceEncoder(Section):
    modality: Literal["face"]
    source: Words
    revision: Words | None = None
    finetuning: FaceFinetuning | None = None


Encoder = Annotated[AudioEncoder | FaceEncoder, Field(discriminator="modality")]


class Encoders(Section):
    finetune: Annotated[list[Words], Field(max_length=1000), NoRepeats]
    catalogue: dict[Name, Encoder]

    def of(self, modality: Modality) -> list[str]:
        """Return the names of the encoders of a modality."""
        return [name for name, entry in self.catalogue.items() if entry.modality == modality]


# 0 is what enters the first layer of an encoder, n what leaves the n-th.
LayerNumbers = Annotated[
    list[Annotated[int, Field(ge=0, le=200)]], Field(min_length=1, max_length=201), NoRepeats
]


class ModalityFeatures(Section):
    encoder: Words
    precision: Precision
    batch_size: BatchSize


class AudioFeatures(ModalityFeatures):
    span: AudioSpan = "window"
    stretch_s: StretchLength = 10.0
    context_s: StretchContext = 0.2
    layers: NamedLayers | LayerNumbers = "last"


class Features(Section):
    levels: Annotated[list[Level], Field(min_length=1), NoRepeats]
    audio: AudioFeatures
    face: ModalityFeatures

    def of(self, modality: Modality) -> ModalityFeatures:
        """Return how the features of a modality are made."""
        return {"audio": self.audio, "face": self.face}[modality]
