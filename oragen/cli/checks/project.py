"""The corpora, encoders and heads that params.yaml names -> findings."""

import importlib.util
import re
from collections.abc import Sequence
from configparser import ConfigParser, ParsingError
from pathlib import Path
from typing import Final

from oragen.cli.checks.finding import INSTALL, Finding
from oragen.config.clips import Faces
from oragen.config.settled_faces import SettledFaces
from oragen.schema.choices.encoders import EMBEDDED, OFF_THE_SHELF, RESEMBLYZER
from oragen.schema.choices.face_detectors import DetectorChoice

WEIGHT_FILES: Final = (
    "model.safetensors", "pytorch_model.bin", "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)  # fmt: skip
# As in oragen.models.folder, which needs torch: these checks must work where torch does not load.
HEAD_FILE: Final = "head.json"
TIMM: Final = "timm:"
HUB_ID: Final = re.compile(r"[\w.-]+(/[\w.-]+)?")


def check_detector(choice: DetectorChoice, weights: Path | None) -> Finding:
    """Check that the face detector has its weights, and say what `auto` stands for."""
    from oragen.detection.detector_choice import choose_detector
    from oragen.detection.face_detectors import CascadeDetector
    from oragen.detection.yunet_weights import FETCH, FaceWeightsError, find_yunet_weights

    try:
        name = choose_detector(choice, weights)
        yunet = find_yunet_weights(weights) if name == "yunet" else None
    except FaceWeightsError as error:
        missing = "no usable weights are kept" if weights is None else f"not at {weights}"
        return Finding("weights", "YuNet", "problem", missing, str(error))
    if yunet is not None:
        chosen = "auto: YuNet is here, " if choice == "auto" else ""
        return Finding("weights", "YuNet", "ok", f"{chosen}{yunet}")
    if name == "cascade":
        if importlib.util.find_spec("cv2") is None:
            advice = f"Run `{INSTALL}`."
            return Finding("weights", "face cascade", "problem", "no OpenCV", advice)
        import cv2.data

        file = Path(cv2.data.haarcascades) / CascadeDetector.file
        if not file.is_file():
            advice = "OpenCV 5 has none. Run `pip install 'opencv-python-headless<5'`."
            return Finding("weights", "face cascade", "problem", f"not at {file}", advice)
    if choice == "auto":
        advice = f"Run `{FETCH}`: it finds more faces."
        chosen = "auto: cascade, as YuNet is not here"
        return Finding("weights", "face detector", "ok", chosen, advice)
    return Finding("weights", "face detector", "ok", f"{name}: needs no download")


def check_settled(faces: Faces, noted: SettledFaces | None) -> list[Finding]:
    """Check that the detector is still the one that the project's faces are found by."""
    from oragen.detection.detector_choice import choose_detector
    from oragen.detection.face_detectors import detector_fingerprint
    from oragen.detection.yunet_weights import FaceWeightsError

    if noted is None or faces.is_settled:
        return []
    try:
        name = choose_detector(faces.detector, faces.weights)
        fingerprint = detector_fingerprint(name, weights=faces.weights)
    except FaceWeightsError:
        return []  # which `check_detector` says
    if (name, fingerprint) == (noted.detector, noted.fingerprint):
        return []
    found = f"found by {noted.detector}; here is now {name}, or it has other weights"
    advice = "To find faces anew run `dvc repro --force settle_faces`, then `dvc repro`."
    return [Finding("weights", "faces of this project", "warning", found, advice)]


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
    if source == OFF_THE_SHELF:
        return check_off_the_shelf(title, is_used=is_used)
    if source == RESEMBLYZER:
        return check_speaker_encoder(title, is_used=is_used)
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


def check_off_the_shelf(title: str, *, is_used: bool) -> Finding:
    """Check whether the package of the off-the-shelf networks is installed, and its files whole."""
    from oragen.models.off_the_shelf import (
        INSTALL,
        NETWORKS,
        PACKAGE,
        find_networks,
        read_network,
    )
    from oragen.models.packages import PackageError

    if find_networks() is None:
        advice = f"Run `{INSTALL}`{'' if is_used else ' if you want it'}."
        missing = f"{PACKAGE} is not installed"
        return Finding("weights", title, "problem" if is_used else "ok", missing, advice)
    try:
        for network in NETWORKS:
            read_network(network)
    except PackageError as error:
        return Finding("weights", title, "problem", f"{PACKAGE}: damaged", str(error))
    return Finding("weights", title, "ok", f"{PACKAGE}: installed")


def check_speaker_encoder(title: str, *, is_used: bool) -> Finding:
    """Check whether the package of the speaker encoder is installed, and its file whole."""
    from oragen.models.packages import (
        SPEAKER,
        PackageError,
        find_package_file,
        read_package_file,
    )

    path = find_package_file(SPEAKER)
    if path is None:
        advice = f"Run `{SPEAKER.install}`{'' if is_used else ' if you want it'}."
        missing = f"{SPEAKER.package} is not installed"
        return Finding("weights", title, "problem" if is_used else "ok", missing, advice)
    try:
        read_package_file(SPEAKER, path)
    except PackageError as error:
        return Finding("weights", title, "problem", f"{SPEAKER.package}: damaged", str(error))
    return Finding("weights", title, "ok", f"{SPEAKER.package}: installed")


def find_in_hub_cache(source: str, hub_cache: Path) -> bool:
    """Return whether the hub's cache holds the weights of an encoder, of timm too."""
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
    if (folder / HEAD_FILE).is_file():
        return Finding("weights", f"fine-tuned {name}", "ok", str(folder))
    advice = "Run `make demo` or `dvc repro`."
    return Finding("weights", f"fine-tuned {name}", "warning", f"not at {folder}", advice)


def check_head(name: str, folder: Path, seeds: Sequence[int]) -> Finding:
    """Check which seeds of a head have been trained."""
    wanted = [f"seed-{seed}" for seed in seeds]
    present = [seed for seed in wanted if (folder / seed / HEAD_FILE).is_file()]
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


def check_git(folder: Path) -> list[Finding]:
    """Check that DVC finds the Git repository that it needs, or is told that there is none.

    Nothing is said of a folder that is no DVC project.
    """
    if not (folder / ".dvc").is_dir():
        return []
    has_git, without = (folder / ".git").exists(), _is_without_git(folder / ".dvc")
    if has_git and without:
        advice = "`dvc config --local --unset core.no_scm`: `dvc exp` needs Git, and it is here."
        return [Finding("project", "Git", "warning", "DVC is told to work without", advice)]
    if has_git:
        return [Finding("project", "Git", "ok", "a repository")]
    if without:
        advice = "`dvc repro` works; `dvc exp` and `dvc metrics diff` need `git init`."
        return [Finding("project", "Git", "ok", "none, and DVC works without", advice)]
    advice = "Run `git init`, or `dvc config --local core.no_scm true` to work without Git."
    return [Finding("project", "Git", "problem", "no repository: `dvc repro` ends at once", advice)]


def _is_without_git(folder: Path) -> bool:
    """Return what DVC's settings of the project say; those of this copy count more."""
    settings = ConfigParser(interpolation=None, strict=False)
    try:
        settings.read([folder / "config", folder / "config.local"], encoding="utf-8")
    except (ParsingError, UnicodeDecodeError):
        return False  # DVC says what is wrong with them
    return settings.get("core", "no_scm", fallback="").lower() == "true"
