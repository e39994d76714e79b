"""A block that builds networks -> the same, with shapes alone: no memory and no numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

_DRAWN_IN_PLACE: Final = (
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.nn.init.normal_,
    torch.nn.init.uniform_,
    torch.nn.init.trunc_normal_,
)


class _NoNumbers(TorchFunctionMode):
    """Draws nothing: random numbers of no memory would load the compiler, which takes a second."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if function in _DRAWN_IN_PLACE:
            return args[0] if args else named["tensor"]
        return function(*args, **named)


@contextmanager
def outlining() -> Iterator[None]:
    """Build networks whose weights have a shape and a type, and take no memory."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]), _NoNumbers():
        yield
