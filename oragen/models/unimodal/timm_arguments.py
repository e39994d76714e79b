"""The name and arguments of a network of timm -> the same, known to build a vision transformer.

`timm.create_model` takes arguments that read files, fetch addresses and unpickle.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Final

import timm
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from oragen.models.encoder_configs import EncoderConfigError
from oragen.schema.strict_json import shorten

VITS: Final = (VisionTransformer, Eva, Beit)  # timm's ViT, DeiT, DINOv2; DINOv3, EVA-02; BEiT
# Arguments that are classes or places, and so never in JSON.
_NO_JSON: Final = ("self", "device", "dtype", "embed_layer", "block_fn", "mlp_layer", "attn_layer")
ARGUMENTS: Final = frozenset(
    name for vit in VITS for name in inspect.signature(vit.__init__).parameters
) - frozenset(_NO_JSON)
LARGEST: Final[Mapping[str, int]] = {"embed_dim": 2**14, "depth": 200, "img_size": 2**12}
LARGEST_NUMBER: Final = 10**5  # of all other arguments


def check_architecture(architecture: object) -> str:
    """Return the name of a network that timm has itself.

    Raises:
        EncoderConfigError: it is another one, or names a place such as `hf-hub:owner/name`.
    """
    if not isinstance(architecture, str) or not timm.is_model(architecture):
        raise EncoderConfigError(
            f"Unknown model of timm, {shorten(repr(architecture))}: expected the name of one of "
            "its vision transformers, such as vit_small_patch16_224"
        )
    return architecture


def check_arguments(arguments: object) -> dict[str, Any]:
    """Return arguments that timm's vision transformers themselves take, of sizes that exist.

    Raises:
        EncoderConfigError: names the argument.
    """
    if not isinstance(arguments, dict):
        raise EncoderConfigError(f"the arguments are {shorten(repr(arguments))}, expected names")
    for name, value in arguments.items():
        if name not in ARGUMENTS:
            raise EncoderConfigError(
                f"{shorten(repr(name))} is no argument of timm's vision transformers"
            )
        _check_value(name, value)
    return arguments


def _check_value(name: str, value: object) -> None:
    largest = LARGEST.get(name, LARGEST_NUMBER)
    match value:
        case None | bool() | str():
            return
        case int() | float() if -largest <= value <= largest:
            return
        case [*several] if len(several) <= 4:
            for one in several:
                _check_value(name, one)
        case _:
            raise EncoderConfigError(
                f"{name} is {shorten(repr(value))}, expected a word or numbers up to {largest}"
            )
