"""An encoder -> the same with low-rank adapters that are trained in place of its weights, by peft.

LoRA (arXiv 2106.09685) adds the product of two small matrices to a linear map. Adapters are on all
linear maps of the transformer's layers, as in QLoRA (arXiv 2305.14314). The attention of WavLM
takes the weights of its maps past the adapters, so these do nothing there.
"""

import re
from collections.abc import Iterable
from typing import Final

from torch import nn

from oragen.schema.errors import UserError

IN_A_LAYER: Final = re.compile(r"(^|\.)\d+\.")  # layers are numbered: `encoder.layers.0.`
ADAPTER: Final = ".lora_"  # before A and B, in names of weights
INSTALL: Final = "pip install 'oragen[lora]'"


class LoraError(UserError):
    """peft is not installed, or an encoder has nothing to adapt."""


def add_lora(encoder: nn.Module, *, rank: int, alpha: int) -> None:
    """Freeze an encoder and add adapters, which begin as no change at all.

    Args:
        encoder: is changed.
        rank: width of the small matrices.
        alpha: their product counts `alpha / rank`.

    Raises:
        LoraError: peft is not installed, or no linear map is found.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise LoraError(f"`finetuning.lora` needs the package peft. Run `{INSTALL}`.") from error
    linear = [
        name
        for name, module in encoder.named_modules()
        if type(module) is nn.Linear and IN_A_LAYER.search(name)
    ]
    if not linear:
        raise LoraError(
            f"A {type(encoder).__name__} has no linear maps in numbered layers, which LoRA adapts. "
            "Take `lora` out of its `finetuning` in params.yaml."
        )
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear)
    inject_adapter_in_model(config, encoder)


def find_unreached(idle: Iterable[str]) -> list[str]:
    """Return the linear maps whose adapters are among the weights that no output depends on."""
    return [*dict.fromkeys(name.partition(ADAPTER)[0] for name in idle if ADAPTER in name)]


def merge_lora(model: nn.Module) -> None:
    """Add the adapters of a trained model to its weights; without any nothing changes."""
    adapted = [
        (name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")
    ]
    for name, module in adapted:
        module.merge()  # a layer of peft
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, module.get_base_layer())
    for module in model.modules():
        if hasattr(module, "peft_config"):
            del module.peft_config
