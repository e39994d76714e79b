"""A folder, or the id of a model on the Hugging Face hub -> its folder on this machine."""

import re
from collections.abc import Sequence
from pathlib import Path
from ssl import SSLError
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from oragen.models.places import DESCRIPTION_FILE, HUB_ID, RELEASED, ModelError, find_local

TIMEOUT_S: Final = 5.0  # for a sign of life
MAX_S: Final = 30.0  # for the list of files
COMMIT: Final = re.compile("[0-9a-f]{40}")  # a revision that never changes
TEXTS: Final = ("README.md", "LICENSE", "LICENSE.*")
# Weights, descriptions and texts: nothing that could run code.
FILES: Final = (
    "*.json",
    "*.safetensors",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.onnx",
    "*.md",
    "SHA256SUMS",
)


def find_folder(source: str | Path, revision: str | None = None) -> Path:
    """Return the folder of a model: a local one, or one downloaded from the hub once.

    A download shows its progress and is checked by its hash. Later it is found without a network.

    Raises:
        ModelError: there is no such folder, and the hub has no such model or cannot be reached.
    """
    return find_here(source, revision) or _download(str(source), revision)


def find_here(source: str | Path, revision: str | None = None) -> Path | None:
    """Return the folder of a model if it is on this machine; None if it must come from the hub.

    Nothing is downloaded. An earlier download is found here only where there is no network:
    elsewhere the hub may have a newer one.

    Raises:
        ModelError: the source is no model, or the hub cannot be reached and it is not here.
    """
    from huggingface_hub import constants

    if folder := find_local(source):
        return folder
    offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else ""
    problem = offline or _find_problem(constants.ENDPOINT)
    return _find_downloaded(str(source), revision, problem) if problem else None


def find_snapshot(name: str, revision: str | None) -> Path | None:
    """Return the folder of the version of a model that the hub has now; None if it is not known.

    Where there is no network, that is the version of the last download. A commit is not asked for.
    At most the config is downloaded.
    """
    if not HUB_ID.fullmatch(name):
        return None
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    is_settled = (
        constants.HF_HUB_OFFLINE
        or COMMIT.fullmatch(revision or "")
        or _find_problem(constants.ENDPOINT)
    )
    try:
        config = hf_hub_download(
            name, "config.json", revision=revision, local_files_only=bool(is_settled)
        )
    # OSError, ValueError for a name that is none, and what the HTTP library raises
    except (OSError, ValueError, *HfHubHTTPError.__bases__):  # type: ignore[misc]
        return None
    return Path(config).parent


def choose_files(names: list[str]) -> tuple[str, ...]:
    """Return patterns of what to download of a repository with these files.

    Where it has the released model, that is its three files and texts, and nothing else.
    """
    if DESCRIPTION_FILE not in names and set(RELEASED) <= set(names):
        return (*RELEASED, *TEXTS)
    return FILES


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        there = HfApi().model_info(name, revision=revision, timeout=MAX_S).siblings or []
        patterns = choose_files([file.rfilename for file in there])
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except HfHubHTTPError as error:
        raise ModelError(
            f"There is no folder {name}, and the hub refuses a model of this name (revision "
            f"{revision or 'main'}): {first_line(error)} If it is private, run `hf auth login` "
            "first."
        ) from error
    # OSError, and what the HTTP library raises: its name is another one in each version
    except HfHubHTTPError.__bases__ as error:  # type: ignore[misc]
        raise _unreachable(name, revision, first_line(error)) from error


def _find_downloaded(name: str, revision: str | None, problem: str) -> Path:
    """Return the folder of an earlier download.

    Raises:
        ModelError: there is none, or it lacks files of the released model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    def find(patterns: Sequence[str]) -> Path:
        return Path(
            snapshot_download(
                name, revision=revision, local_files_only=True, allow_patterns=list(patterns)
            )
        )

    try:
        there = [file.name for file in find(()).iterdir()]
        folder = find(choose_files(there))
    except (LocalEntryNotFoundError, OSError) as error:
        raise _unreachable(name, revision, problem) from error
    lacking = [file for file in RELEASED if file not in there]
    if DESCRIPTION_FILE not in there and 0 < len(lacking) < len(RELEASED):
        raise _unreachable(name, revision, f"{problem}; its download lacks {', '.join(lacking)}")
    return folder


def _unreachable(name: str, revision: str | None, problem: str) -> ModelError:
    return ModelError(
        f"There is no folder {name}, and the hub cannot be reached to look for a model of this "
        f"name: {problem}. Where there is a network, run `hf download {name} --revision "
        f"{revision or 'main'}`; then name the folder that it prints."
    )


def _find_problem(address: str) -> str:
    """Ask the hub once; return why it cannot be reached, or "".

    Its own client asks six times, which takes 23 s where there is no network.
    """
    try:
        with urlopen(Request(address, method="HEAD"), timeout=TIMEOUT_S):
            return ""
    except HTTPError:
        return ""
    except URLError as error:  # certificates are for the hub's own client to judge
        return "" if isinstance(error.reason, SSLError) else f"{address}: {error.reason}"
    except OSError as error:
        return f"{address}: {error}"


def first_line(error: BaseException) -> str:
    """Return what an error says first, without a full stop."""
    return str(error).strip().partition("\n")[0].rstrip(".")
