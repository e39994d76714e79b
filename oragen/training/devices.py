"""The name of a device -> the device, and a Fabric to train on it."""

import os
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

import torch

from oragen.schema.errors import UserError
from oragen.schema.names import shorten
from oragen.schema.vocabulary import Precision

if TYPE_CHECKING:  # its import takes a second, which extraction need not wait for
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import Precision as PrecisionPlugin


class DeviceError(UserError):
    """There is no such device, or fewer than asked for."""


class DisagreementError(UserError):
    """The processes of a training do not train the same."""


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


class Layout(NamedTuple):
    """Devices that share each batch of a training; each has a process of its own."""

    num_devices: int = 1  # of a node
    num_nodes: int = 1


ONE_DEVICE: Final = Layout()


def find_layout(num_devices: int) -> Layout:
    """Return the processes that torchrun has started; without it, so many of this machine.

    Raises:
        DeviceError: its nodes have different numbers of processes.
    """
    if not torch.distributed.is_torchelastic_launched():
        return Layout(num_devices)
    here, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if everywhere % here:
        raise DeviceError(
            f"torchrun has started {here} of {everywhere} processes on this node, expected equally "
            "many on each. Give all nodes the same `--nproc-per-node`."
        )
    return Layout(here, everywhere // here)


def make_fabric(
    device: torch.device, precision: Precision, layout: Layout = ONE_DEVICE
) -> "Fabric":
    """Choose devices and precision of a training; call `launch()` on the result.

    Args:
        device: its kind; without an index for several devices.
        precision: bf16 and fp16 are mixed with fp32: weights stay fp32.
        layout: the devices.

    Raises:
        DeviceError: there are not so many devices.
    """
    num_devices, num_nodes = layout
    if device.type == "cuda" and num_devices > (count := torch.cuda.device_count()):
        raise DeviceError(
            f"{num_devices} GPUs of this machine shall share a batch, and {count} can be used. "
            "Lower execution.num_devices in params.yaml, or --nproc-per-node of torchrun."
        )
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    # One device needs no others: where Slurm is installed, Fabric would look for them by itself.
    is_alone = layout == ONE_DEVICE
    one_of_many = device.type != "cpu" and device.index is not None and num_devices == 1
    return Fabric(
        accelerator=device.type,
        devices=[device.index] if one_of_many else num_devices,
        num_nodes=num_nodes,
        strategy="auto" if is_alone else DDPStrategy(),
        plugins=[_choose_precision(device, precision), *([LightningEnvironment()] * is_alone)],
    )


def refuse_disagreement(fabric: "Fabric", training: object) -> None:
    """Compare what the processes train, such as a hash, and where they go on.

    Raises:
        DisagreementError: in all processes, so that none waits for the others.
    """
    differs = torch.tensor(float(training != fabric.broadcast(training)), device=fabric.device)
    num_others = fabric.all_reduce(differs, reduce_op="sum")
    assert isinstance(num_others, torch.Tensor)
    if num_others:
        raise DisagreementError(
            f"{int(num_others)} of {fabric.world_size} processes have other examples, parameters "
            "or another checkpoint than the first one, expected the same. Let all nodes see one "
            "project folder."
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
