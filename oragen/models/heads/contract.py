"""Features of a window and a head's sizes -> HeadOutput: the signature of all heads."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.output import HeadOutput
from oragen.schema.choices.heads import HeadName
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Modality


@dataclass(frozen=True)
class HeadSizes:
    """The sizes of a head's features and of its output.

    A head of fixed length (`shared`, `separate`, `joint`) takes exactly `audio_steps` and
    `face_slots`; the others take any number.
    """

    audio_steps: int
    audio_width: int
    face_slots: int
    face_layers: int
    face_width: int
    num_genders: int
    num_mask_types: int  # 0: the head does not predict the mask type

    def __post_init__(self) -> None:
        for name, size in asdict(self).items():
            smallest = {"num_genders": 2, "num_mask_types": 0}.get(name, 1)
            if size < smallest:
                raise ValueError(f"HeadSizes.{name} must be at least {smallest}, found {size}.")


@dataclass(frozen=True)
class HeadSpec:
    """Everything from which a head is built again, without its weights."""

    name: HeadName
    sizes: HeadSizes
    width: int = 256
    num_heads: int = 4
    dropout: float = 0.1
    std_correction: int = 0  # of the pooling, see `StatisticsPooling`
    audio_layers: int = 1  # that lie side by side in the audio width, if the head weighs them

    def __post_init__(self) -> None:
        if self.sizes.audio_width % self.audio_layers:
            raise ValueError(
                f"an audio width of {self.sizes.audio_width} is not that of {self.audio_layers} "
                "layers"
            )

    @property
    def audio_token_width(self) -> int:
        """Width of an audio frame, after its layers were weighed."""
        return self.sizes.audio_width // self.audio_layers


class Head(nn.Module, ABC):
    """Features of a batch of windows -> `HeadOutput`. All heads have this signature.

    Values where `audio_valid` or `face_valid` is False do not reach the output. A row may lack one
    modality or both. Its output is finite then; without both it means nothing.
    """

    modality: Modality | None = None  # the only one it uses; None: both

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> HeadOutput: ...

    if TYPE_CHECKING:

        def __call__(
            self,
            audio: Float[Tensor, "batch steps audio_width"],
            audio_valid: Bool[Tensor, "batch steps"],
            face: Float[Tensor, "batch slots layers face_width"],
            face_valid: Bool[Tensor, "batch slots"],
        ) -> HeadOutput: ...


def check_features(sizes: HeadSizes, audio: Tensor, face: Tensor, *, fixed_length: bool) -> None:
    """Refuse features of another encoder or window.

    Raises:
        UserError: names the sizes that the head was built for, and those found.
    """
    expected = [sizes.audio_width, sizes.face_layers, sizes.face_width]
    found = [audio.shape[2], *face.shape[2:]]
    if fixed_length:
        expected = [sizes.audio_steps, sizes.face_slots, *expected]
        found = [audio.shape[1], face.shape[1], *found]
    if expected != found:
        names = "audio width, face layers, face width"
        names = f"audio steps, face slots, {names}" if fixed_length else names
        raise UserError(
            f"The head was built for features of [{names}] = {expected}, found {found}. Pad short "
            f"windows, or train a head on these features: `dvc repro train_head`."
        )
