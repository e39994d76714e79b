"""A checkpoint file -> a folder of ours: `model.safetensors` and `head.json`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn
from transformers import PreTrainedModel

from oragen.models.folder import read_kind
from oragen.models.heads import save_head
from oragen.models.heads.storage import build_described_head
from oragen.models.places import DESCRIPTION_FILE, WEIGHTS_FILE
from oragen.models.published.models import (
    PublishedFusion,
    build,
    find_source,
    waveform_order,
)
from oragen.models.published.recognition import proves_orig, recognise
from oragen.models.state_dict import check_state_dict, shapes
from oragen.models.unimodal import (
    PUBLISHED,
    UnimodalAudioModel,
    UnimodalFaceModel,
    infer_config,
    read_checkpoint,
    save_unimodal,
    strip_prefixes,
)
from oragen.models.unimodal.architectures import NOT_ARCHITECTURE
from oragen.models.unimodal.storage import build_described_unimodal
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, SAMPLE_RATE_HZ

MIN_SAMPLES: Final = 4 * SAMPLE_RATE_HZ  # the published models see windows padded to 4 s
IMAGE_PX: Final = 224
IMAGE_MEAN = IMAGE_STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Origin:
    """What is known of a published checkpoint. None: read off its weights, where they show it.

    Weights show the source only in audio models of `orig`; otherwise None means `chimera`.
    """

    model: str | None = None
    level: str | None = None
    source: str | None = None
    encoder_config: Mapping[str, Any] | None = None
    age_as_fraction: bool = False  # see `build_published_model`


def convert_checkpoint(
    checkpoint: Path,
    folder: Path,
    origin: Origin | None = None,
    *,
    like: Path | None = None,
    force: bool = False,
) -> str:
    """Write the model in a checkpoint as `load_head` or `load_unimodal` read it.

    Args:
        checkpoint: a state dict of a published model, or of one of ours.
        folder: is made; if it exists it must be empty.
        origin: of a published checkpoint, as far as its weights do not show it.
        like: a folder of ours whose `head.json` describes a checkpoint of ours; None: the
            checkpoint's own folder.
        force: replace the model in a folder that is not empty.

    Returns:
        a description of the model in words.

    Raises:
        UserError: the file is no such checkpoint, or the folder is not empty.
    """
    _refuse_to_overwrite(folder, force=force)
    state_dict = strip_prefixes(read_checkpoint(checkpoint))
    if like is not None and origin is not None and origin.model is not None:
        raise UserError("A checkpoint is of a published model or like one of ours: name only one.")
    known = _complete(origin or Origin(), state_dict) if like is None else None
    if known is not None:
        return _convert_published(checkpoint, folder, state_dict, known)
    return _convert_own(checkpoint, folder, state_dict, like or checkpoint.parent)


def read_encoder_config(path: Path) -> dict[str, Any]:
    """Read an encoder's config, such as the `config.json` of a model of transformers.

    Raises:
        UserError: the file is missing or holds no JSON object.
    """
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an encoder's config: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} holds a {type(config).__name__}, expected a JSON object.")
    return {key: value for key, value in config.items() if key not in NOT_ARCHITECTURE}


def _complete(origin: Origin, state_dict: Mapping[str, Tensor]) -> Origin | None:
    """Add what the weights show; None if they are of no published model."""
    found = recognise(state_dict)
    if origin.model is None and found is None:
        return None
    model = origin.model or (found.model if found else "")
    is_unimodal = model in PUBLISHED
    source = find_source(origin.source or ("orig" if proves_orig(state_dict) else "chimera"))
    config = origin.encoder_config
    if is_unimodal and config is None:
        config = infer_config(PUBLISHED[model], state_dict, source)
    level = origin.level or (found.level if found and not is_unimodal else None)
    return Origin(model, level, source, config, origin.age_as_fraction)


def _convert_published(
    checkpoint: Path, folder: Path, state_dict: Mapping[str, Tensor], origin: Origin
) -> str:
    assert origin.model is not None
    assert origin.source is not None
    model = build(
        origin.model,
        origin.level,
        state_dict,
        origin.source,
        origin.encoder_config,
        age_as_fraction=origin.age_as_fraction,
    )
    metadata = {
        "published": {
            "model": origin.model,
            "level": origin.level,
            "source": origin.source,
            **_describe_file(checkpoint),
        },
        "genders": list(GENDERS),
        "mask_types": [],
        "input": _describe_input(model, origin.source),
    }
    if isinstance(model, PublishedFusion):
        metadata["mask_types"] = list(MASK_TYPES) if model.head.spec.sizes.num_mask_types else []
        save_head(folder, model.head, metadata)
    else:
        save_unimodal(folder, model, metadata)
    return " ".join(part for part in (origin.model, origin.level, f"of {origin.source}") if part)


def _describe_input(model: nn.Module, source: str) -> dict[str, object]:
    """Describe the input of a model; of a fusion model, that of the models before it."""
    audio = {
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "waveform_order": waveform_order(source),
        "min_samples": MIN_SAMPLES,
    }
    face: dict[str, object] = {
        "image_px": IMAGE_PX,
        "image_mean": list(IMAGE_MEAN),
        "image_std": list(IMAGE_STD),
    }
    match model:
        case UnimodalAudioModel():
            return {**audio}
        case UnimodalFaceModel():
            assert isinstance(model.encoder, PreTrainedModel)  # published ones are
            return {**face, "image_px": model.encoder.config.image_size}
        case _:
            return {**audio, **face}


def _convert_own(
    checkpoint: Path, folder: Path, state_dict: Mapping[str, Tensor], like: Path
) -> str:
    if not (like / DESCRIPTION_FILE).is_file():
        raise UserError(
            f"{checkpoint} is of no published model (its {len(state_dict)} entries begin with "
            f"{next(iter(state_dict))}), and {like} has no {DESCRIPTION_FILE} that describes a "
            "model of ours. Name the published one with --model, or with --like a folder with a "
            "model of the same sizes."
        )
    file = {"converted": {**_describe_file(checkpoint), "like": str(like)}}
    weights = {name: tensor.float() for name, tensor in state_dict.items()}
    num_weights = sum(tensor.numel() for tensor in weights.values())
    kind = read_kind(like)
    if kind == "head":
        head, metadata = build_described_head(like, max_weights=num_weights)
        _check_own(like, weights, head)
        head.load_state_dict(weights)
        save_head(folder, head, metadata | file)
    else:
        model, metadata = build_described_unimodal(like, max_weights=num_weights)
        _check_own(like, weights, model)
        model.load_state_dict(weights, assign=True)
        save_unimodal(folder, model, metadata | file)
    return f"the model described in {like}"


def _check_own(like: Path, weights: Mapping[str, Tensor], model: nn.Module) -> None:
    check_state_dict(
        f"the model that {like / DESCRIPTION_FILE} describes",
        weights,
        expected=shapes(model.state_dict()),
        optional={},
        original_names={name: name for name in weights},
        remedy="Name the folder of a model of the same sizes with --like.",
    )


def _describe_file(checkpoint: Path) -> dict[str, object]:
    with checkpoint.open("rb") as file:
        return {"file": checkpoint.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _refuse_to_overwrite(folder: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file. Name a folder to write the model to.")
    if not force and folder.is_dir() and (found := sorted(folder.iterdir())):
        raise UserError(
            f"{folder} is not empty: there is {found[0].name}. Name a new folder, or replace "
            f"{WEIGHTS_FILE} and {DESCRIPTION_FILE} there with --force."
        )
