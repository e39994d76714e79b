"""`encoders` and `features` of params.yaml -> which encoders there are, and how they are used."""

from typing import Annotated, Literal

from pydantic import Field

from oragen.config.optimisation import Optimisation
from oragen.config.section import Count, Name, Names, NoRepeats, Section, Share
from oragen.schema.choices.encoders import AudioPoolingName, FacePoolingName
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


class _Finetuning(Optimisation):
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


class AudioEncoder(Section):
    modality: Literal["audio"]
    source: str
    revision: str | None = None
    finetuning: AudioFinetuning | None = None


class FaceEncoder(Section):
    modality: Literal["face"]
    source: str
    revision: str | None = None
    finetuning: FaceFinetuning | None = None


Encoder = Annotated[AudioEncoder | FaceEncoder, Field(discriminator="modality")]


class Encoders(Section):
    finetune: Annotated[list[str], NoRepeats]
    catalogue: dict[Name, Encoder]

    def of(self, modality: Modality) -> list[str]:
        """Return the names of the encoders of a modality."""
        return [name for name, entry in self.catalogue.items() if entry.modality == modality]


class ModalityFeatures(Section):
    encoder: str
    precision: Precision
    batch_size: Count


class Features(Section):
    levels: Annotated[list[Level], Field(min_length=1), NoRepeats]
    audio: ModalityFeatures
    face: ModalityFeatures

    def of(self, modality: Modality) -> ModalityFeatures:
        """Return how the features of a modality are made."""
        return {"audio": self.audio, "face": self.face}[modality]
