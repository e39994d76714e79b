"""Face crops -> the CLS rows of all hidden states of a frozen vision transformer."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from transformers import AutoImageProcessor, BaseImageProcessor, PreTrainedModel, ViTImageProcessor

from oragen.encoders.embedded_face import IMAGE_PX, design_vit
from oragen.encoders.source import (
    EMBEDDED,
    EncoderError,
    Precision,
    autocast,
    explained,
    fingerprint,
    load_complete,
)


class FaceEncoder(nn.Module):
    """A frozen ViT: the CLS row of the embeddings and of every layer (13 x 768 for ViT-B)."""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: BaseImageProcessor,
        precision: Precision = "fp32",
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.precision: Precision = precision
        self.width: int = model.config.hidden_size
        self.num_layers: int = model.config.num_hidden_layers + 1

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and the architecture."""
        return fingerprint(self.model)

    @torch.inference_mode()
    def forward(
        self, crops: UInt8[np.ndarray, "batch rows columns 3"]
    ) -> Float[Tensor, "batch layers width"]:
        """Encode RGB crops of any size; the encoder's own processor scales and normalises them."""
        pixels = self.processor(list(crops), return_tensors="pt").pixel_values
        device = self.model.device
        with autocast(device, self.precision):
            output = self.model(pixels.to(device), output_hidden_states=True)
        return torch.stack([states[:, 0] for states in output.hidden_states], dim=1).float()

    def encode(self, crops: list[np.ndarray]) -> list[np.ndarray]:
        """Encode RGB crops (uint8, one size) -> `layers x width` of each."""
        return list(self(np.stack(crops)).cpu().numpy())


def load_face_encoder(
    source: str, revision: str | None = None, *, precision: Precision = "fp32"
) -> FaceEncoder:
    """Load a vision transformer from the hub, from a folder, or the `embedded` one.

    Raises:
        EncoderError: when it cannot be had or is no vision transformer.
    """
    if source == EMBEDDED:
        processor = ViTImageProcessor(size={"height": IMAGE_PX, "width": IMAGE_PX})
        return FaceEncoder(design_vit(), processor, precision)
    model = load_complete(source, revision)
    if not hasattr(model.config, "patch_size"):
        raise EncoderError(
            f"Encoder {source!r} is a {model.config.model_type}; expected a vision transformer."
        )
    with explained(source, revision):
        processor = AutoImageProcessor.from_pretrained(source, revision=revision)
    return FaceEncoder(model, processor, precision)


def save_encoder(encoder: FaceEncoder, folder: Path) -> None:
    """Write an encoder so that `load_face_encoder(folder)` gives it back."""
    encoder.model.save_pretrained(folder)
    encoder.processor.save_pretrained(folder)
