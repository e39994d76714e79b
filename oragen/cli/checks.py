"""A machine and a project -> findings: what is there, what is missing, and what to do about it."""

import importlib
import importlib.util
import os
import platform
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final, Literal

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

State = Literal["ok", "warning", "problem"]
STATES: Final[tuple[State, ...]] = ("ok", "warning", "problem")

GIB: Final = 2**30
LEAST_FREE_BYTES: Final = 1 * GIB  # the demo's stores take a third of that
ENOUGH_FREE_BYTES: Final = 10 * GIB
LEAST_MEMORY_BYTES: Final = 4 * GIB
PACKAGES: Final = (
    "torch", "torchaudio", "torchvision", "transformers", "timm", "av", "opencv-python-headless",
    "zarr", "dvc", "silero-vad", "onnxruntime",
)  # fmt: skip
# torchvision 0.x belongs to torch 2.(x - 15); torchaudio has torch's own numbers.
TORCHVISION_AHEAD: Final = 15
NEEDED_DECODERS: Final = ("h264", "aac", "pcm_s16le")
OTHER_DECODERS: Final = (
    "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "png",
    "mp3", "opus", "vorbis", "flac", "pcm_alaw", "pcm_mulaw", "amrnb",
)  # fmt: skip
ENCODERS: Final = ("h264", "aac")  # of `oragen predict --draw`
WEIGHT_FILES: Final = (
    "model.safetensors", "pytorch_model.bin", "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)  # fmt: skip
EMBEDDED: Final = "embedded"
TIMM: Final = "timm:"
HUB_ID: Final = re.compile(r"[\w.-]+(/[\w.-]+)?")
INSTALL: Final = "pip install -e . -c constraints.txt"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Gpu:
    """A CUDA device."""

    name: str
    memory_bytes: int


def has_problem(findings: Collection[Finding]) -> bool:
    """Tell whether something cannot work as it is."""
    return any(finding.state == "problem" for finding in findings)


# --- programs ----------------------------------------------------------------------------------


def read_versions() -> dict[str, str | None]:
    """Return the installed version of each of `PACKAGES`, None where it is missing."""
    return {package: _version_of(package) for package in PACKAGES}


def read_requirements() -> dict[str, Requirement]:
    """Return what oragen asks of each package, by name; nothing where it is not installed."""
    try:
        asked = [Requirement(line) for line in requires("oragen") or []]
    except PackageNotFoundError:
        return {}
    return {one.name: one for one in asked if one.marker is None}


def check_python(running: str = platform.python_version()) -> Finding:
    """Check the version of Python."""
    good = Version(running) >= Version("3.11")
    advice = "" if good else "oragen needs Python 3.11 or later: make another environment."
    return Finding("versions", "Python", "ok" if good else "problem", running, advice)


def check_packages(
    versions: Mapping[str, str | None], requirements: Mapping[str, Requirement]
) -> list[Finding]:
    """Check each package against what oragen asks for, and that torch's three belong together."""
    findings = []
    for package, found in versions.items():
        asked = requirements.get(package)
        if found is None:
            state, advice = "problem", f"Run `{INSTALL}`."
        elif asked is not None and not asked.specifier.contains(found, prereleases=True):
            state, advice = "problem", f"oragen needs {asked}. Run `{INSTALL}`."
        else:
            state, advice = "ok", ""
        findings.append(Finding("versions", package, state, found or "missing", advice))  # type: ignore[arg-type]
    return [*findings, *_check_trio(versions)]


def _check_trio(versions: Mapping[str, str | None]) -> list[Finding]:
    """Compare torch, torchaudio and torchvision: of other releases they crash, or do not load."""
    torch, audio, vision = (versions.get(f"torch{end}") for end in ("", "audio", "vision"))
    if torch is None or audio is None or vision is None:
        return []
    try:
        parsed = Version(torch), Version(audio), Version(vision)
    except InvalidVersion:
        return []
    releases = {parsed[0].release[:2], parsed[1].release[:2]}
    releases.add((2, parsed[2].minor - TORCHVISION_AHEAD))
    builds = {one.local for one in parsed if one.local is not None}
    found = f"{torch}, {audio}, {vision}"
    if len(releases) == 1 and len(builds) <= 1:
        return [Finding("versions", "torch's three", "ok", found)]
    minor = parsed[0].minor
    return [
        Finding(
            "versions", "torch's three", "problem", found,
            f"To torch 2.{minor} belong torchaudio 2.{minor} and torchvision "
            f"0.{minor + TORCHVISION_AHEAD}, of the same build. Run `{INSTALL}`.",
        )
    ]  # fmt: skip


def check_import(module: str) -> Finding:
    """Check that a module with a compiled part can be loaded."""
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:
        first_line = str(error).strip().partition("\n")[0]
        return Finding("versions", f"import {module}", "problem", first_line, f"Run `{INSTALL}`.")
    return Finding("versions", f"import {module}", "ok", "works")


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# --- machine -----------------------------------------------------------------------------------


def count_memory_bytes() -> int | None:
    """Return the size of the memory, None where the system does not tell."""
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
        advice = "Lower `train.memory_gb` and `num_workers` in params.yaml." if little else ""
        findings.append(
            Finding("devices", "memory", "warning" if little else "ok", _gib(memory_bytes), advice)
        )
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
    """Tell whether the machine has a driver for NVIDIA's GPUs."""
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
    """Check the space that is left for what is computed."""
    found = f"{_gib(free_bytes)} free"
    if free_bytes < LEAST_FREE_BYTES:
        advice = "Free some, run `oragen cache compact`, or link data/ to a larger disk."
        return Finding("disk", str(folder), "problem", found, advice)
    if free_bytes < ENOUGH_FREE_BYTES:
        advice = "Enough for the demo; features of a large corpus need more."
        return Finding("disk", str(folder), "warning", found, advice)
    return Finding("disk", str(folder), "ok", found)


def count_free_bytes(folder: Path) -> int:
    """Return the free space of the disk where a folder is, or will be."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free


# --- project -----------------------------------------------------------------------------------


def check_detector(name: str, weights: Path | None) -> Finding:
    """Check that the detector of faces has what it has learned."""
    from oragen.detection.face_detectors import (
        CascadeDetector,
        FaceWeightsError,
        find_yunet_weights,
    )

    if name == "yunet":
        try:
            found = find_yunet_weights(weights or Path("faces.weights of params.yaml"))
        except FaceWeightsError as error:
            return Finding("weights", "YuNet", "problem", f"not at {weights}", str(error))
        return Finding("weights", "YuNet", "ok", str(found))
    if name == "cascade":
        if importlib.util.find_spec("cv2") is None:
            advice = f"Run `{INSTALL}`."
            return Finding("weights", "face cascade", "problem", "no OpenCV to hold it", advice)
        import cv2.data

        file = Path(cv2.data.haarcascades) / CascadeDetector.file
        if not file.is_file():
            advice = "OpenCV 5 has none. Run `pip install 'opencv-python-headless<5'`."
            return Finding("weights", "face cascade", "problem", f"not at {file}", advice)
    return Finding("weights", "face detector", "ok", f"{name}: needs no download")


def check_encoder(
    name: str, source: str, *, is_used: bool, hub_cache: Path, is_offline: bool
) -> Finding:
    """Check where an encoder of the catalogue would come from; nothing is downloaded.

    Args:
        name: in the catalogue.
        source: as in params.yaml.
        is_used: whether params.yaml chooses it.
        hub_cache: the folder of what the hub's client has downloaded.
        is_offline: whether the hub must not be asked.
    """
    title = f"encoder {name}"
    if source == EMBEDDED:
        return Finding("weights", title, "ok", "embedded: made on the spot")
    path = Path(source.removeprefix(TIMM))
    if path.is_dir():
        return Finding("weights", title, "ok", f"folder {path}")
    if find_in_hub_cache(source, hub_cache):
        return Finding("weights", title, "ok", f"{source}: downloaded")
    if not source.startswith(TIMM) and not HUB_ID.fullmatch(source):
        advice = "Make the folder, or correct `source` in params.yaml."
        return Finding(
            "weights", title, "problem" if is_used else "warning", f"no folder {source}", advice
        )
    if not is_used:
        return Finding("weights", title, "ok", f"{source}: not downloaded, not in use")
    if is_offline:
        advice = "Unset HF_HUB_OFFLINE, or copy the hub's cache here from another machine."
        return Finding("weights", title, "problem", f"{source}: not downloaded, offline", advice)
    advice = "It is downloaded when first used."
    return Finding("weights", title, "warning", f"{source}: not downloaded", advice)


def find_in_hub_cache(source: str, hub_cache: Path) -> bool:
    """Tell whether the hub's cache holds the weights of an encoder, of timm too."""
    name = source.removeprefix(TIMM).removeprefix("hf-hub:").partition("@")[0]
    if source.startswith(TIMM) and "/" not in name:
        name = f"timm/{name}"
    folder = f"models--{name.replace('/', '--')}"
    # timm names a model with or without the tag of its weights, the repository has it always.
    pattern = f"{folder}*" if source.startswith(TIMM) else folder
    snapshots = hub_cache.glob(f"{pattern}/snapshots/*/*")
    return any(path.name in WEIGHT_FILES for path in snapshots)


def check_finetuned(name: str, folder: Path) -> Finding:
    """Check whether an encoder that is to be fine-tuned has been."""
    if (folder / "head.json").is_file():
        return Finding("weights", f"fine-tuned {name}", "ok", str(folder))
    advice = "Run `make demo` or `dvc repro`."
    return Finding("weights", f"fine-tuned {name}", "warning", f"not at {folder}", advice)


def check_head(name: str, folder: Path, seeds: Sequence[int]) -> Finding:
    """Check which seeds of a head have been trained."""
    wanted = [f"seed-{seed}" for seed in seeds]
    present = [seed for seed in wanted if (folder / seed / "head.json").is_file()]
    found = ", ".join(present) or "none trained"
    if len(present) == len(wanted):
        return Finding("weights", f"head {name}", "ok", found)
    missing = ", ".join(seed for seed in wanted if seed not in present)
    advice = f"Without {missing}. Run `make demo` or `dvc repro`."
    return Finding("weights", f"head {name}", "warning", found, advice)


def check_corpus(name: str, root: Path, *, is_used: bool, is_generated: bool) -> Finding:
    """Check that a corpus is where params.yaml says."""
    title = f"corpus {name}"
    if root.is_dir() and any(root.iterdir()):
        return Finding("project", title, "ok", str(root))
    if not is_used:
        return Finding("project", title, "ok", f"not at {root}, not in use")
    if is_generated:
        return Finding(
            "project", title, "warning", f"not at {root}", f"Run `oragen generate {name}`."
        )
    advice = (
        f"Link it there (`ln -s`), or correct corpora.{name}.root. `oragen corpora list` says how "
        "to get it."
    )
    return Finding("project", title, "problem", f"not at {root}", advice)


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.1f} GiB"
