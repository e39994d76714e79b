"""The name of a device -> the device, and a Fabric to train on it."""

from typing import TYPE_CHECKING, assert_never

import torch

from oragen.schema.vocabulary import Precision

if TYPE_CHECKING:  # its import takes a second, which extraction need not wait for
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import Precision as PrecisionPlugin


def choose_device(name: str) -> torch.device:
    """Return the named device; `auto` is the first GPU, or else the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_fabric(device: torch.device, precision: Precision, num_devices: int = 1) -> "Fabric":
    """Choose devices and precision of a training; call `launch()` on the result.

    Args:
        device: its kind; without an index for several devices.
        precision: bf16 and fp16 are mixed with fp32: weights stay fp32.
        num_devices: devices that share each batch; each has a process of its own.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    one_of_many = device.type != "cpu" and device.index is not None and num_devices == 1
    return Fabric(
        accelerator=device.type,
        devices=[device.index] if one_of_many else num_devices,
        strategy=DDPStrategy() if num_devices > 1 else "auto",
        plugins=_choose_precision(device, precision),
    )


def scales_gradients(fabric: "Fabric") -> bool:
    """Return whether gradients are scaled, as for fp16: steps with infinite ones are skipped."""
    from lightning_fabric.plugins import MixedPrecision

    precision = fabric.strategy.precision
    return isinstance(precision, MixedPrecision) and precision.scaler is not None


def _choose_precision(device: torch.device, precision: Precision) -> "PrecisionPlugin":
    from lightning_fabric.plugins import MixedPrecision
    from lightning_fabric.plugins.precision import Precision as PrecisionPlugin

    match precision:
        case "fp32":
            return PrecisionPlugin()
        case "bf16":
            return MixedPrecision("bf16-mixed", device.type)
        case "fp16":
            return MixedPrecision("16-mixed", device.type)
        case _:
            assert_never(precision)
