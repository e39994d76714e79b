"""Face crops -> embeddings of a frozen vision transformer, mostly a CLS row of each layer."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from transformers import AutoImageProcessor, BaseImageProcessor, PreTrainedModel, ViTImageProcessor

from oragen.encoders.computing import to_bf16
from oragen.encoders.copying import Returning, pin, send
from oragen.encoders.embedded_face import IMAGE_PX, design_vit
from oragen.encoders.errors import EncoderError, explained
from oragen.encoders.files import check_preparation
from oragen.encoders.fingerprint import fingerprint
from oragen.encoders.levels import (
    INTERMEDIATE,
    Launched,
    Rows,
    autocast,
    choose_rows,
    round_rows,
    type_to_copy,
    unpooled,
)
from oragen.encoders.off_the_shelf import OffTheShelfEncoder, load_off_the_shelf
from oragen.encoders.source import (
    load_complete,
    load_finetuned,
    refuse_late,
    refuse_useless,
)
from oragen.encoders.timm_names import is_timm
from oragen.models.unimodal import SavedUnimodal, UnimodalFaceModel
from oragen.models.unimodal.input import PictureInput, check_input
from oragen.models.unimodal.timm_vit import TimmVit
from oragen.schema.choices.encoders import EMBEDDED, OFF_THE_SHELF
from oragen.schema.vocabulary import Level, Precision

BLANK_PX: Final = 32
GPU_ABLE: Final = "torchvision"  # the kind of image processors that run where the pictures are


def prepare_crops(
    processor: BaseImageProcessor, crops: Sequence[UInt8[np.ndarray, "_ _ 3"]]
) -> Float[Tensor, "batch 3 height width"]:
    """RGB crops of any sizes -> one batch at the size and scale the encoder was trained with."""
    pixels: Tensor = processor(list(crops), return_tensors="pt").pixel_values
    return pixels


class FaceEncoder(nn.Module):
    """A frozen ViT of transformers or timm.

    One pass computes several levels: `early`, the input of the first layer, CLS row first;
    `intermediate`, the CLS rows of the embeddings and of every layer (13 x 768 for ViT-B); `late`,
    the pooled vector of a unimodal model; `pooled`, mean and standard deviation of the intermediate
    ones.

    Args:
        model: the network, alone or in a unimodal model; `late` needs the latter.
        processor: scales and normalises crops.
        precision: of the computation.
    """

    takes_landmarks: Final = False  # see `align`

    def __init__(
        self,
        model: PreTrainedModel | TimmVit | UnimodalFaceModel,
        processor: BaseImageProcessor,
        precision: Precision = "fp32",
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.precision: Precision = precision
        self.computing = to_bf16(self.network) if precision == "bf16" else self.network

    @property
    def network(self) -> PreTrainedModel | TimmVit:
        """The encoder alone, without the pooling and output layers of a unimodal model."""
        return self.model.encoder if isinstance(self.model, UnimodalFaceModel) else self.model

    def fingerprint(self, level: Level = "intermediate") -> str:
        """SHA-256 of what a level depends on: weights, architecture, how crops are prepared."""
        model = self.model if level == "late" else self.network
        return fingerprint(model, json.loads(self.processor.to_json_string()))

    def feature_shape(self, level: Level = "intermediate") -> tuple[int, int]:
        """Return rows and width of the embedding of a crop; encodes a blank one."""
        blank = np.zeros((BLANK_PX, BLANK_PX, 3), np.uint8)
        rows, width = self.encode([blank], level)[0].shape
        return rows, width

    def align(
        self, crop: UInt8[np.ndarray, "_ _ 3"], landmarks: Sequence[float] | None
    ) -> UInt8[np.ndarray, "_ _ 3"]:
        """Return the crop as it is: a transformer finds the face where it is."""
        return crop

    def prepare(self, crops: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Tensor:
        """Scale and normalise RGB crops; may run while the network computes.

        Returns `batch x 3 x height x width`; of crops of one size for a GPU, which scales them
        itself, the crops as they are: uint8, `batch x height x width x 3`.
        """
        device = self.network.device
        is_scaled_there = (
            device.type == "cuda" and getattr(self.processor, "backend", "") == GPU_ABLE
        )
        if is_scaled_there and len({crop.shape for crop in crops}) == 1:
            return pin(torch.from_numpy(np.stack(crops)), device)
        return pin(prepare_crops(self.processor, crops), device)

    def launch(
        self, images: Tensor, levels: Collection[Level], dtype: torch.dtype = torch.float32
    ) -> Launched:
        """Begin to encode prepared crops; a GPU goes on while the caller does something else.

        Returns what waits for `rows x width` of each crop, for each level, in a type.
        """
        sent = send(images, self.network.device)
        if sent.dtype == torch.uint8:
            sent = self.scale(sent)
        returning = Returning(self(sent, unpooled(levels)), type_to_copy(levels, dtype))

        def wait() -> Rows:
            rows = {level: list(features) for level, features in returning.wait().items()}
            return round_rows(choose_rows(rows, levels), dtype)

        return wait

    def scale(
        self, crops: UInt8[Tensor, "batch height width 3"]
    ) -> Float[Tensor, "batch 3 image_height image_width"]:
        """Do on the GPU what `prepare_crops` does."""
        pictures = list(crops.permute(0, 3, 1, 2))  # to batch, channel, row, column
        pixels: Tensor = self.processor(
            pictures, input_data_format="channels_first", device=crops.device, return_tensors="pt"
        ).pixel_values
        return pixels

    def embed(self, images: Tensor, levels: Collection[Level]) -> Rows:
        """Encode prepared crops -> for each level, `rows x width` of each crop."""
        return self.launch(images, levels)()

    def encode(
        self, crops: Sequence[UInt8[np.ndarray, "_ _ 3"]], level: Level = "intermediate"
    ) -> list[np.ndarray]:
        """Encode RGB crops -> `rows x width` of each."""
        return self.embed(self.prepare(crops), (level,))[level]

    @torch.inference_mode()
    def forward(
        self,
        images: Float[Tensor, "batch 3 image_height image_width"],
        levels: Collection[Level],
    ) -> dict[Level, Float[Tensor, "batch _ _"]]:
        """Encode a batch in one pass for all levels."""
        network = self.computing
        with autocast(network, self.precision):
            states: tuple[Tensor, ...] = network(
                images.to(network.dtype), output_hidden_states=True
            ).hidden_states
            # of each layer: batch, token, width -> batch, layer, width
            rows = torch.stack([tokens[:, 0] for tokens in states], dim=1)
            features: dict[Level, Tensor] = {"early": states[0], "intermediate": rows}
        if "late" in levels:
            assert isinstance(self.model, UnimodalFaceModel), "refused when it is loaded"
            with autocast(self.model, self.precision):
                features["late"] = self.model.summary(rows.float())[:, None]  # to batch, 1, width
        return {level: features[level].float() for level in levels}


def load_any_face_encoder(
    source: str,
    revision: str | None = None,
    *,
    precision: Precision = "fp32",
    levels: Collection[Level] = (INTERMEDIATE,),
) -> FaceEncoder | OffTheShelfEncoder:
    """Load the networks of the source `off-the-shelf`, or else as `load_face_encoder` does.

    Raises:
        EncoderError: it cannot be loaded, is no face encoder, or lacks a level.
        PackageError: the package of the off-the-shelf networks is not installed.
    """
    if source == OFF_THE_SHELF:
        return load_off_the_shelf(revision, precision=precision, levels=levels)
    return load_face_encoder(source, revision, precision=precision, levels=levels)


def load_face_encoder(
    source: str,
    revision: str | None = None,
    *,
    precision: Precision = "fp32",
    levels: Collection[Level] = (INTERMEDIATE,),
) -> FaceEncoder:
    """Load a vision transformer from the hub, from a folder, or the `embedded` one.

    `timm:NAME` is one of timm's. A folder may hold an encoder alone, or a unimodal model: one
    fine-tuned here, or converted from a published checkpoint. `levels` are those that will be
    computed.

    Raises:
        EncoderError: it cannot be loaded, is no vision transformer, or lacks a level.
    """
    if source == OFF_THE_SHELF:
        raise EncoderError(
            f"Encoder {source!r} is no vision transformer and cannot be fine-tuned. Take it out of "
            "`encoders.finetune`: its features are used as they come."
        )
    if saved := load_finetuned(source):
        return _from_finetuned(source, saved, precision)
    refuse_late(source, levels)
    if source == EMBEDDED:
        processor = ViTImageProcessor(size={"height": IMAGE_PX, "width": IMAGE_PX})
        return FaceEncoder(design_vit(), processor, precision)
    if is_timm(source):
        from oragen.encoders.timm_source import load_timm  # importing timm takes a second

        return _try_out(source, *load_timm(source, revision), precision)
    model = load_complete(source, revision)
    if not hasattr(model.config, "patch_size"):
        raise EncoderError(
            f"Encoder {source!r} is a {model.config.model_type}; expected a vision transformer. "
            "Those of timm are named `timm:NAME`."
        )
    return _try_out(source, model, load_processor(source, revision), precision)


def _from_finetuned(source: str, saved: SavedUnimodal, precision: Precision) -> FaceEncoder:
    if not isinstance(saved.model, UnimodalFaceModel):
        raise EncoderError(f"Encoder {source!r} is a model of voices; expected one of faces.")
    return _try_out(source, saved.model, _choose_processor(source, saved), precision)


def _choose_processor(source: str, saved: SavedUnimodal) -> BaseImageProcessor:
    if "input" not in saved.metadata:
        return load_processor(source, None)
    found = check_input(Path(source), PictureInput, saved.metadata)
    return ViTImageProcessor(
        size={"height": found.image_px, "width": found.image_px},
        image_mean=found.image_mean,
        image_std=found.image_std,
    )


def load_processor(source: str, revision: str | None) -> BaseImageProcessor:
    """Load how the pictures of an encoder of transformers are prepared.

    Raises:
        EncoderError: it cannot be loaded, or asks for sizes that no encoder takes.
    """
    with explained(source, revision):
        processor: BaseImageProcessor = AutoImageProcessor.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
        check_preparation(source, json.loads(processor.to_json_string()))
    return processor


def _try_out(
    source: str,
    model: PreTrainedModel | TimmVit | UnimodalFaceModel,
    processor: BaseImageProcessor,
    precision: Precision,
) -> FaceEncoder:
    """Encode a blank picture: a network and a preparation may not fit each other."""
    encoder = FaceEncoder(model, processor, precision)
    with explained(source, None):
        [rows] = encoder.encode([np.zeros((BLANK_PX, BLANK_PX, 3), np.uint8)])
        refuse_useless(source, rows)
    return encoder
