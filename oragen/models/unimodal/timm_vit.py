"""Face images -> the hidden states of a vision transformer of timm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class TimmVitConfig:
    """The size that is read of an encoder, by its name in the configs of transformers."""

    hidden_size: int


class HiddenStates(NamedTuple):
    """The input of the first block, then the output of each block, before the last norm."""

    hidden_states: tuple[Float[Tensor, "batch tokens width"], ...]


class TimmVit(nn.Module):
    """A ViT of timm with the interface of one of transformers.

    In every hidden state the CLS row comes first, then register or distillation tokens, then the
    patches.

    Args:
        vit: one of `timm_arguments.VITS`, with a CLS token and without a classifier.
        architecture: its name in timm.
        arguments: further ones of `timm.create_model`; plain JSON.
    """

    def __init__(
        self,
        vit: Any,
        *,
        architecture: str,
        arguments: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.vit = vit
        self.architecture = architecture
        self.arguments = dict(arguments)
        self.config = TimmVitConfig(vit.embed_dim)

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "TimmVit":
        """Build the network of a `description`, with random weights; works offline.

        Raises:
            EncoderConfigError: timm knows no such architecture, or it takes no such argument.
            TypeError: the architecture does not take such arguments.
        """
        import timm  # takes a second

        from oragen.models.unimodal.timm_arguments import check_architecture, check_arguments

        architecture = check_architecture(description["architecture"])
        arguments = check_arguments(description["arguments"])
        with torch.random.fork_rng(devices=[]):  # the caller's randomness stays as it was
            vit: Any = timm.create_model(architecture, pretrained=False, num_classes=0, **arguments)
        return cls(vit, architecture=architecture, arguments=arguments)

    @property
    def description(self) -> dict[str, Any]:
        """Plain JSON, for `from_description`."""
        return {
            "library": "timm",
            "architecture": self.architecture,
            "arguments": dict(self.arguments),
        }

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype

    def forward(
        self,
        images: Float[Tensor, "batch 3 image_height image_width"],
        *,
        output_hidden_states: Literal[True] = True,
    ) -> HiddenStates:
        """Return all hidden states; nothing else can be chosen."""
        entering: list[Tensor] = []  # timm itself returns only the outputs of the blocks
        hook = self.vit.blocks[0].register_forward_pre_hook(
            lambda _, inputs: entering.append(inputs[0])
        )
        try:
            leaving: Any = self.vit.forward_intermediates(
                images, return_prefix_tokens=True, output_fmt="NLC", intermediates_only=True
            )
        finally:
            hook.remove()
        tokens = [torch.cat([prefix, patches], dim=1) for patches, prefix in leaving]
        return HiddenStates((entering[0], *tokens))
