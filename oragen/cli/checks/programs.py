"""The versions of Python and of the packages -> findings."""

import importlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from oragen.cli.checks.finding import INSTALL, Finding

PACKAGES: Final = (
    "torch", "torchaudio", "torchvision", "transformers", "timm", "av", "opencv-python-headless",
    "zarr", "dvc", "silero-vad", "onnxruntime",
)  # fmt: skip
# torchvision 0.x belongs to torch 2.(x - 15); torchaudio has torch's own numbers.
TORCHVISION_AHEAD: Final = 15


def read_versions() -> dict[str, str | None]:
    """Return the installed version of each of `PACKAGES`, None where it is missing."""
    return {package: _version_of(package) for package in PACKAGES}


def read_requirements() -> dict[str, Requirement]:
    """Return what oragen requires of each package, by name; nothing where it is not installed."""
    try:
        requirements = [Requirement(line) for line in requires("oragen") or []]
    except PackageNotFoundError:
        return {}
    return {one.name: one for one in requirements if one.marker is None}


def check_python(running: str = platform.python_version()) -> Finding:
    """Check the version of Python."""
    good = Version(running) >= Version("3.11")
    advice = "" if good else "oragen needs Python 3.11 or later: make another environment."
    return Finding("versions", "Python", "ok" if good else "problem", running, advice)


def check_packages(
    versions: Mapping[str, str | None], requirements: Mapping[str, Requirement]
) -> list[Finding]:
    """Check each package against what oragen requires, and that torch's three belong together."""
    findings = []
    for package, found in versions.items():
        required = requirements.get(package)
        if found is None:
            state, advice = "problem", f"Run `{INSTALL}`."
        elif required is not None and not required.specifier.contains(found, prereleases=True):
            state, advice = "problem", f"oragen needs {required}. Run `{INSTALL}`."
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
