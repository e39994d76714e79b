"""A packed model -> a repository on the Hugging Face hub."""

from pathlib import Path
from typing import Final

from oragen.models.hub import first_line
from oragen.models.places import HUB_ID, ModelError
from oragen.predictor.cards import CARD_FILE
from oragen.predictor.sums import SUMS_FILE, check_sums, list_files
from oragen.schema.links import find_inside

MESSAGE: Final = "Push a packed model"


def push_model(folder: Path, name: str, *, public: bool = False) -> str:
    """Send a packed model, whole and in one commit; return the address of the commit.

    A new repository is private unless it is to be public. Only regular files of the folder are
    sent, and no hidden ones.

    Args:
        folder: that `pack_model` wrote.
        name: of the repository, OWNER/NAME.
        public: whether others may see it; needed also where the repository is public already.

    Raises:
        ModelError: the folder is no packed model, or the hub refuses it or cannot be reached.
        UserError: a file differs from what was packed, or is a link that leads out of the folder.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    files = _list_packed(folder)
    if not HUB_ID.fullmatch(name):
        raise ModelError(f"{name} is no name of a repository, expected OWNER/NAME.")
    if constants.HF_HUB_OFFLINE:
        raise ModelError("HF_HUB_OFFLINE is set, so nothing can be sent. Unset it.")
    hub = HfApi()
    try:
        hub.create_repo(name, private=not public, exist_ok=True)
        if not public and not hub.model_info(name).private:
            raise ModelError(
                f"The repository {name} is public, and others would see the model. Add --public if "
                "they may, or name another one."
            )
        additions = [CommitOperationAdd(file, find_inside(folder, file)) for file in files]
        return hub.create_commit(name, additions, commit_message=MESSAGE).commit_url
    except HfHubHTTPError as error:
        raise ModelError(
            f"The hub refuses {name}: {first_line(error)}. Run `hf auth login` with a token that "
            "may write, and name an owner that you may write for."
        ) from error
    # OSError, and what the HTTP library raises: its name is another one in each version
    except HfHubHTTPError.__bases__ as error:  # type: ignore[misc]
        raise ModelError(
            f"The hub cannot be reached to send {folder} to {name}: {first_line(error)}. Try again "
            "where there is a network: nothing is there by halves."
        ) from error


def _list_packed(folder: Path) -> list[str]:
    """Return the names of all files of a packed model.

    Raises:
        ModelError: it has no card or no sums.
    """
    for name in (SUMS_FILE, CARD_FILE):
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder} is no packed model: it has no {name}. Run `oragen pack HEAD {folder}`."
            )
    check_sums(folder)
    return [*list_files(folder), SUMS_FILE]
