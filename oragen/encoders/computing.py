"""A frozen network -> the same network, arranged so that it computes faster."""

import copy
from typing import Final, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

MIN_CHANNELS: Final = 512  # of the published speech transformers; fewer gain nothing

Network = TypeVar("Network", bound=nn.Module)


class StepwiseConv1d(nn.Conv1d):
    """A convolution over time whose output lies in memory step by step, not channel by channel.

    The layer norms of a front end run over channels: they need no transposed copy of this output.
    """

    @classmethod
    def of(cls, conv: nn.Conv1d) -> "StepwiseConv1d":
        """Return a convolution with the same weights, not a copy of them."""
        with torch.device("meta"):
            made = cls(
                conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0],
                bias=conv.bias is not None,
            )  # fmt: skip
        made.weight, made.bias = conv.weight, conv.bias
        return made

    def forward(
        self, sound: Float[Tensor, "batch channels steps"]
    ) -> Float[Tensor, "batch _ fewer_steps"]:
        """Convolve over time: samples by a matrix product, channels as pictures of one row."""
        if self.in_channels == 1:
            seen = sound[:, 0].unfold(1, self.kernel_size[0], self.stride[0])  # batch, step, kernel
            return F.linear(seen, self.weight[:, 0], self.bias).transpose(1, 2)
        # only pictures can lie channels last: out, in, kernel -> out, in, 1, kernel
        weight = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(sound.unsqueeze(2), weight, self.bias, (1, *self.stride)).squeeze(2)


def keep_steps_together(front_end: nn.Module) -> None:
    """Let the wide convolutions of a front end write their output step by step."""
    for module in [*front_end.modules()]:
        for name, conv in module.named_children():
            if type(conv) is nn.Conv1d and _is_plain(conv) and conv.out_channels >= MIN_CHANNELS:
                setattr(module, name, StepwiseConv1d.of(conv))


def _is_plain(conv: nn.Conv1d) -> bool:
    return conv.padding == (0,) and conv.dilation == (1,) and conv.groups == 1


def to_bf16(network: Network) -> Network:
    """Return a copy whose weights are bf16, so that none is converted at each step as by autocast.

    Weights that are computed from others, as those of the positional convolution, are computed
    once, and rounded after that.
    """
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if parametrize.is_parametrized(module):
            _compute_once(module)
    return copied.to(torch.bfloat16)


def _compute_once(module: nn.Module) -> None:
    """Let the weights that are computed from others be plain weights, with their values of now.

    `remove_parametrizations` would change the class, which the module shares with its original.
    """
    computed = {
        name: getattr(module, name).detach()
        for name, _ in module.get_submodule("parametrizations").named_children()
    }
    del module.parametrizations
    module.__class__ = type(module).__bases__[0]
    for name, values in computed.items():
        module.register_parameter(name, nn.Parameter(values, requires_grad=False))
