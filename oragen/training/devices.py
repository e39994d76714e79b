"""The name of a device -> the device, and a Fabric to train on it."""

from typing import TYPE_CHECKING, assert_never

import torch

from oragen.schema.errors import UserError
from oragen.schema.names import shorten
from oragen.schema.vocabulary import Precision

if TYPE_CHECKING:  # its import takes a second, which extraction need not wait for
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import Precision as PrecisionPlugin


class DeviceError(UserError):
    """There is no such device, or fewer than asked for."""


def choose_device(name: str) -> torch.device:
    """Return the named device; `auto` is the first GPU, or else the CPU.

    In fp32 a GPU computes in fp32: by itself cuDNN rounds the input of convolutions to 10 bits.

    Raises:
        DeviceError: there is no such device here.
    """
    torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"There is no device {shorten(repr(name))}: name auto, cpu, cuda, cuda:1, ..."
        ) from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"The device {name} is not supported: name auto, cpu, cuda, cuda:1, ...")
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise DeviceError(
            f"The device {name} is a GPU, and {count} can be used here. Name auto, which takes "
            "what there is, or look at `oragen doctor`."
        )
    return device


def make_fabric(device: torch.device, precision: Precision, num_devices: int = 1) -> "Fabric":
    """Choose devices and precision of a training; call `launch()` on the result.

    Args:
        device: its kind; without an index for several devices.
        precision: bf16 and fp16 are mixed with fp32: weights stay fp32.
        num_devices: devices that share each batch; each has a process of its own.

    Raises:
        DeviceError: there are not so many devices.
    """
    if device.type == "cuda" and num_devices > (count := torch.cuda.device_count()):
        raise DeviceError(
            f"execution.num_devices of params.yaml is {num_devices}, and {count} GPUs can be used "
            "here. Lower it."
        )
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    # One device needs no others: where Slurm is installed, Fabric would look for them by itself.
    alone = [LightningEnvironment()] if num_devices == 1 else []
    one_of_many = device.type != "cpu" and device.index is not None and num_devices == 1
    return Fabric(
        accelerator=device.type,
        devices=[device.index] if one_of_many else num_devices,
        strategy=DDPStrategy() if num_devices > 1 else "auto",
        plugins=[_choose_precision(device, precision), *alone],
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
