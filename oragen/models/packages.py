"""A file of an installed package, which is not imported -> its bytes, known by their SHA-256."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, NamedTuple

from oragen.schema.errors import UserError


class PackageFile(NamedTuple):
    """A file of a package, and how it is known."""

    package: str
    version: str
    place: str  # in the folder of all packages
    sha256: str
    num_bytes: int
    install: str  # the command that installs the package


# The speaker encoder of Resemblyzer, which comes out of CorentinJ/Real-Time-Voice-Cloning.
SPEAKER: Final = PackageFile(
    "resemblyzer",
    "0.1.4",
    "resemblyzer/pretrained.pt",
    "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
    17_090_379,
    "pip install --no-deps resemblyzer==0.1.4",
)
SPEAKER_LICENCE: Final = "Apache-2.0"
SPEAKER_SOURCE: Final = "https://pypi.org/project/Resemblyzer/0.1.4/"


class PackageError(UserError):
    """A package is not installed, or its file is not the known one."""


def find_package_file(known: PackageFile) -> Path | None:
    """Return where a file is, unread; None if its package is not installed."""
    try:
        package = distribution(known.package)
    except PackageNotFoundError:
        return None
    return Path(str(package.locate_file(known.place)))


def read_package_file(known: PackageFile, path: Path) -> bytes:
    """Read a file that `find_package_file` found.

    Raises:
        PackageError: it cannot be read, or is not the known one.
    """
    wanted = f"{known.package}=={known.version}"
    again = f"Run `pip install --force-reinstall --no-deps {wanted}`."
    try:
        with path.open("rb") as opened:
            content = opened.read(known.num_bytes + 1)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}. {again}") from error
    if (found := hashlib.sha256(content).hexdigest()) != known.sha256:
        raise PackageError(
            f"{path} has SHA-256 {found}, expected {known.sha256} of {known.package} "
            f"{known.version}. {again}"
        )
    return content


def describe_speaker_network() -> dict[str, str]:
    """Say in predictions where the speaker encoder comes from."""
    return {
        "audio_encoder_package": f"{SPEAKER.package} {SPEAKER.version}",
        "audio_encoder_licence": SPEAKER_LICENCE,
        "speaker_network_sha256": SPEAKER.sha256,
    }
