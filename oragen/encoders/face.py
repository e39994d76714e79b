"""Face crops -> what a frozen vision transformer makes of them, mostly a CLS row of each layer."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from transformers import AutoImageProcessor, BaseImageProcessor, PreTrainedModel, ViTImageProcessor

from oragen.encoders.embedded_face import IMAGE_PX, design_vit
from oragen.encoders.fingerprint import fingerprint
from oragen.encoders.source import (
    EMBEDDED,
    EncoderError,
    autocast,
    explained,
    load_complete,
    load_finetuned,
    refuse_late,
)
from oragen.encoders.timm_source import is_timm, load_timm
from oragen.schema import Level, Precision
from oragen.unimodal import SavedUnimodal, UnimodalFaceModel
from oragen.unimodal.timm_vit import TimmVit


def prepare_crops(
    processor: BaseImageProcessor, crops: Sequence[UInt8[np.ndarray, "_ _ 3"]]
) -> Float[Tensor, "batch 3 height width"]:
    """RGB crops of any sizes -> one batch at the size and scale the encoder was trained with."""
    pixels: Tensor = processor(list(crops), return_tensors="pt").pixel_values
    return pixels


class FaceEncoder(nn.Module):
    """A frozen ViT of transformers or timm.

    Args:
        model: the network; of a unimodal model only the encoder is kept, but for `late`.
        processor: scales and normalises crops.
        precision: in which it computes.
        level: `early`, the embeddings that enter the first layer, CLS row first; `intermediate`,
            the CLS rows of the embeddings and of every layer (13 x 768 for ViT-B); `late`, the
            vector a unimodal model decides by.
    """

    def __init__(
        self,
        model: PreTrainedModel | TimmVit | UnimodalFaceModel,
        processor: BaseImageProcessor,
        precision: Precision = "fp32",
        level: Level = "intermediate",
    ) -> None:
        super().__init__()
        if isinstance(model, UnimodalFaceModel) and level != "late":
            model = model.encoder
        assert level != "late" or isinstance(model, UnimodalFaceModel)
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.precision: Precision = precision
        self.level: Level = level

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, the architecture and the preparation of the crops."""
        return fingerprint(self.model, json.loads(self.processor.to_json_string()))

    @property
    def network(self) -> PreTrainedModel | TimmVit:
        """The encoder alone, without what a unimodal model puts on it."""
        return self.model.encoder if isinstance(self.model, UnimodalFaceModel) else self.model

    @property
    def width(self) -> int:
        """Size of a row."""
        if isinstance(self.model, UnimodalFaceModel):
            return self.model.summary.width
        width: int = self.model.config.hidden_size
        return width

    @property
    def feature_shape(self) -> tuple[int, int]:
        """Rows and width of what a crop gives; a blank one is encoded to find out."""
        blank = np.zeros((1, 32, 32, 3), np.uint8)
        rows, width = self(blank).shape[1:]
        return rows, width

    @torch.inference_mode()
    def forward(
        self, crops: UInt8[np.ndarray, "batch image_height image_width 3"]
    ) -> Float[Tensor, "batch rows width"]:
        """Encode RGB crops of any size."""
        images = prepare_crops(self.processor, list(crops))
        device = self.network.device
        with autocast(device, self.precision):
            return self._features(images.to(device)).float()

    def encode(self, crops: list[np.ndarray]) -> list[np.ndarray]:
        """Encode RGB crops (uint8, one size) -> `rows x width` of each."""
        return list(self(np.stack(crops)).cpu().numpy())

    def _features(
        self, images: Float[Tensor, "batch 3 image_height image_width"]
    ) -> Float[Tensor, "batch rows width"]:
        if isinstance(self.model, UnimodalFaceModel):
            return self.model.features(images, level=self.level)
        states: tuple[Tensor, ...] = self.model(images, output_hidden_states=True).hidden_states
        if self.level == "early":
            return states[0]
        return torch.stack([tokens[:, 0] for tokens in states], dim=1)


def load_face_encoder(
    source: str,
    revision: str | None = None,
    *,
    precision: Precision = "fp32",
    level: Level = "intermediate",
) -> FaceEncoder:
    """Load a vision transformer from the hub, from a folder, or the `embedded` one.

    `timm:NAME` is one of timm's. A folder may hold an encoder alone, or a unimodal model: one
    fine-tuned here, or converted from a published checkpoint.

    Raises:
        EncoderError: when it cannot be had, is no vision transformer, or lacks the level.
    """
    if saved := load_finetuned(source):
        return _from_finetuned(source, saved, precision, level)
    refuse_late(source, level)
    if source == EMBEDDED:
        processor = ViTImageProcessor(size={"height": IMAGE_PX, "width": IMAGE_PX})
        return FaceEncoder(design_vit(), processor, precision, level)
    if is_timm(source):
        return FaceEncoder(*load_timm(source, revision), precision, level)
    model = load_complete(source, revision)
    if not hasattr(model.config, "patch_size"):
        raise EncoderError(
            f"Encoder {source!r} is a {model.config.model_type}; expected a vision transformer. "
            "Those of timm are named `timm:NAME`."
        )
    with explained(source, revision):
        processor = AutoImageProcessor.from_pretrained(source, revision=revision)
    return FaceEncoder(model, processor, precision, level)


def _from_finetuned(
    source: str, saved: SavedUnimodal, precision: Precision, level: Level
) -> FaceEncoder:
    if not isinstance(saved.model, UnimodalFaceModel):
        raise EncoderError(f"Encoder {source!r} is a model of voices; expected one of faces.")
    return FaceEncoder(saved.model, _load_processor(source, saved.metadata), precision, level)


def _load_processor(source: str, metadata: dict[str, Any]) -> BaseImageProcessor:
    if "input" in metadata:
        wanted = metadata["input"]
        return ViTImageProcessor(
            size={"height": wanted["image_px"], "width": wanted["image_px"]},
            image_mean=wanted["image_mean"],
            image_std=wanted["image_std"],
        )
    with explained(source, None):
        processor: BaseImageProcessor = AutoImageProcessor.from_pretrained(source)
    return processor
