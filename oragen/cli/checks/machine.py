"""Processors, memory, codecs, disk -> findings."""

import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from oragen.cli.checks.finding import Finding, State

GIB: Final = 2**30
LEAST_FREE_BYTES: Final = 1 * GIB  # the demo's stores take a third of that
ENOUGH_FREE_BYTES: Final = 10 * GIB
LEAST_MEMORY_BYTES: Final = 4 * GIB
NEEDED_DECODERS: Final = ("h264", "aac", "pcm_s16le")
OTHER_DECODERS: Final = (
    "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "png",
    "mp3", "opus", "vorbis", "flac", "pcm_alaw", "pcm_mulaw", "amrnb",
)  # fmt: skip
ENCODERS: Final = ("h264", "aac")  # of `oragen predict --draw`


@dataclass(frozen=True)
class Gpu:
    """A CUDA device."""

    name: str
    memory_bytes: int


def count_memory_bytes() -> int | None:
    """Return the size of the memory, None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def list_gpus() -> list[Gpu]:
    """Return the CUDA devices that torch sees."""
    import torch

    if not torch.cuda.is_available():
        return []
    properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [Gpu(device.name, device.total_memory) for device in properties]


def check_devices(
    *, num_cores: int, memory_bytes: int | None, gpus: Sequence[Gpu], sees_driver: bool
) -> list[Finding]:
    """Check cores, memory and GPUs, and say what the device `auto` is.

    Args:
        num_cores: that this process may use.
        memory_bytes: of the machine.
        gpus: that torch sees.
        sees_driver: whether the machine has a driver for NVIDIA's GPUs.
    """
    findings = [Finding("devices", "CPU", "ok", f"{num_cores} cores")]
    if memory_bytes is not None:
        little = memory_bytes < LEAST_MEMORY_BYTES
        state: State = "warning" if little else "ok"
        lower = "Lower `train.memory_gb` and `execution.num_workers` in params.yaml."
        advice = lower if little else ""
        findings.append(Finding("devices", "memory", state, _gib(memory_bytes), advice))
    findings += [
        Finding("devices", f"cuda:{number}", "ok", f"{gpu.name}, {_gib(gpu.memory_bytes)}")
        for number, gpu in enumerate(gpus)
    ]
    if sees_driver and not gpus:
        findings.append(
            Finding(
                "devices", "CUDA", "warning", "a driver, but torch sees no GPU",
                "Install a build of torch for its CUDA version: see pytorch.org.",
            )
        )  # fmt: skip
    return [*findings, Finding("devices", "auto", "ok", "cuda" if gpus else "cpu")]


def sees_nvidia_driver() -> bool:
    """Return whether the machine has a driver for NVIDIA's GPUs."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def list_codecs(names: Collection[str], mode: Literal["r", "w"]) -> set[str]:
    """Return which of these codecs PyAV can decode (`r`) or encode (`w`)."""
    import av

    found = set()
    for name in names:
        try:
            av.Codec(name, mode)
        except ValueError:  # av's UnknownCodecError
            continue
        found.add(name)
    return found


def check_codecs(decoders: Collection[str], encoders: Collection[str]) -> list[Finding]:
    """Check what PyAV's FFmpeg can read and write.

    Args:
        decoders: those of `NEEDED_DECODERS` and `OTHER_DECODERS` that it has.
        encoders: those of `ENCODERS` that it has.
    """
    advice = "Install PyAV from its wheel, which brings FFmpeg: `pip install --force-reinstall av`."
    groups: tuple[tuple[str, Sequence[str], Collection[str], State, str], ...] = (
        ("decoders", NEEDED_DECODERS, decoders, "problem", advice),
        ("more decoders", OTHER_DECODERS, decoders, "warning", f"Such clips are skipped. {advice}"),
        ("encoders", ENCODERS, encoders, "warning", f"`predict --draw` needs them. {advice}"),
    )
    findings = []
    for name, wanted, present, state, remedy in groups:
        missing = [codec for codec in wanted if codec not in present]
        there = ", ".join(codec for codec in wanted if codec in present) or "none"
        found = f"{there}; missing: {', '.join(missing)}" if missing else there
        findings.append(
            Finding("codecs", name, state if missing else "ok", found, remedy if missing else "")
        )
    return findings


def check_disk(folder: Path, free_bytes: int) -> Finding:
    """Check the space that is left for what is computed, and whether it can be written there."""
    found = f"{_gib(free_bytes)} free"
    if not os.access(_existing(folder), os.W_OK):
        advice = "Give yourself the right to write there, or link data/ to another disk."
        return Finding("disk", str(folder), "problem", "no permission to write", advice)
    if folder.exists() and not folder.is_dir():
        return Finding("disk", str(folder), "problem", "no folder", "Move that file away.")
    if free_bytes < LEAST_FREE_BYTES:
        advice = "Free some, run `oragen cache compact`, or link data/ to a larger disk."
        return Finding("disk", str(folder), "problem", found, advice)
    if free_bytes < ENOUGH_FREE_BYTES:
        advice = "Enough for the demo; features of a large corpus need more."
        return Finding("disk", str(folder), "warning", found, advice)
    return Finding("disk", str(folder), "ok", found)


def count_free_bytes(folder: Path) -> int:
    """Return the free space of the disk where a folder is, or will be."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists."""
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.1f} GiB"
