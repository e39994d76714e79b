"""A unimodal model <-> a folder: `model.safetensors` and the `head.json` that explains it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, assert_never

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedModel

from oragen.models.description import UnimodalForm, check_form
from oragen.models.encoder_configs import EncoderConfigError
from oragen.models.folder import (
    DESCRIPTION_FILE,
    Kind,
    check_count,
    check_labels,
    damaged,
    own_part,
    read_description,
    read_kind,
    read_weights,
    write_model,
)
from oragen.models.outline import outlining
from oragen.models.state_dict import shapes
from oragen.models.unimodal.architectures import (
    build_encoder,
    describe_encoder,
    outline_encoder,
)
from oragen.models.unimodal.audio import UnimodalAudioModel
from oragen.models.unimodal.audio_pooling import MeanPooling, TransformerPooling
from oragen.models.unimodal.build import build_audio_model, build_face_model
from oragen.models.unimodal.face import UnimodalFaceModel
from oragen.models.unimodal.face_pooling import GatedPooling, SelfAttentionPooling
from oragen.models.unimodal.output_layers import OutputLayers
from oragen.models.unimodal.timm_vit import TimmVit
from oragen.schema.errors import UserError
from oragen.schema.strict_json import shorten

UnimodalModel = UnimodalAudioModel | UnimodalFaceModel

UNIMODAL_KINDS: Final[tuple[Kind, ...]] = ("unimodal_audio", "unimodal_face")
# Errors of building from a damaged description, in our builders and in those of encoders.
_UNBUILDABLE: Final = (
    LookupError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError,
    ArithmeticError, StrictDataclassError,
)  # fmt: skip


class SavedUnimodal(NamedTuple):
    """A model as it was saved, on the CPU and in evaluation mode, with its metadata."""

    model: UnimodalModel
    metadata: dict[str, Any]


def save_unimodal(folder: Path, model: UnimodalModel, metadata: Mapping[str, object]) -> None:
    """Write all weights, and what is needed to build the model again, into a folder.

    Args:
        folder: is made if it does not exist.
        model: from `build_audio_model` or `build_face_model`.
        metadata: plain JSON to save with the model. `genders` and `mask_types`, where present,
            are labels in order and must fit the model.

    Raises:
        UserError: the labels do not fit the model.
        ValueError: another model would be built from its description.
    """
    description, weights = _describe(model), model.state_dict()
    _check_labels(folder, model.decisions, metadata)
    kind: Kind = "unimodal_audio" if isinstance(model, UnimodalAudioModel) else "unimodal_face"
    described = _build(kind, description, outline_encoder).state_dict()
    if shapes(described) != shapes(weights):
        raise ValueError(
            f"{folder}: this model cannot be saved: its description {description} is of another "
            "one. Build it with build_audio_model or build_face_model."
        )
    write_model(folder, kind, weights, description=description, metadata=metadata)


def load_unimodal(folder: Path) -> SavedUnimodal:
    """Build the model that a folder describes, with its weights; works offline.

    Raises:
        UserError: the folder is missing or damaged, holds another kind of model, or its files do
            not fit each other.
    """
    saved = build_described_unimodal(folder)
    described = saved.model.state_dict()
    weights = read_weights(folder, shapes(described))
    for name, weight in weights.items():
        if weight.dtype not in {described[name].dtype, torch.float32}:
            raise damaged(folder, f"{name} is {weight.dtype}, expected {described[name].dtype}")
    saved.model.load_state_dict(weights, assign=True)
    return saved


def build_described_unimodal(folder: Path, *, max_weights: int | None = None) -> SavedUnimodal:
    """Build the model that a folder describes; `load_state_dict` it with `assign=True`.

    Most of it is on the `meta` device; the weights in the folder are not read.

    Args:
        folder: of the model.
        max_weights: refuse a model with more, before memory is taken for it. None: as many as the
            file of its weights has bytes.

    Raises:
        UserError: the description is missing, damaged, or of another kind of model.
    """
    description = read_description(folder, UNIMODAL_KINDS)
    own = own_part(description)
    check_form(folder, "describes no model", UnimodalForm, own)
    try:
        check_count(folder, _build(description["kind"], own, outline_encoder), max_weights)
        model = _build(description["kind"], own, build_encoder)
    except UserError:
        raise
    except EncoderConfigError as error:
        raise damaged(folder, f"{DESCRIPTION_FILE} describes no model: {error}") from error
    except _UNBUILDABLE as error:
        reason = shorten(" ".join(str(error).split()) or type(error).__name__, 300)
        raise damaged(folder, f"{DESCRIPTION_FILE} describes no model: {reason}") from error
    _check_labels(folder, model.decisions, description["metadata"])
    return SavedUnimodal(model.eval(), description["metadata"])


def holds_unimodal(folder: Path) -> bool:
    """Return whether a folder holds a unimodal model, and not a head, by its description alone.

    Raises:
        UserError: the folder holds no model at all.
    """
    return read_kind(folder) in UNIMODAL_KINDS


def _describe(model: UnimodalModel) -> dict[str, object]:
    return {
        "encoder": describe_encoder(model.encoder),
        "summary": _describe_pooling(model.summary),
        "num_genders": _num_outputs(model.decisions.gender),
        "num_mask_types": _num_outputs(model.decisions.mask_type),
        "age_as_fraction": model.decisions.age_as_fraction,
    }


def _describe_pooling(
    pooling: TransformerPooling | MeanPooling | SelfAttentionPooling | GatedPooling,
) -> dict[str, object]:
    match pooling:
        case TransformerPooling():
            return {"name": "transformer", "std_correction": pooling.pool.correction}
        case MeanPooling():
            return {"name": "mean"}
        case SelfAttentionPooling():
            return {"name": "self_attention"}
        case GatedPooling():
            return {"name": "gated"}
        case _:
            assert_never(pooling)


def _num_outputs(layer: nn.Linear | nn.Sequential | None) -> int:
    if layer is None:
        return 0
    last = layer[-1] if isinstance(layer, nn.Sequential) else layer
    assert isinstance(last, nn.Linear)
    return last.out_features


def _build(
    kind: str,
    description: Mapping[str, Any],
    build: Callable[[Mapping[str, Any]], PreTrainedModel | TimmVit],
) -> UnimodalModel:
    """Build the model without weights; most of it is on the `meta` device."""
    encoder, pooling = build(description["encoder"]), dict(description["summary"])
    name = pooling.pop("name")
    sizes: dict[str, Any] = {key: description[key] for key in ("num_genders", "num_mask_types")}
    age_as_fraction: bool = description["age_as_fraction"]
    with outlining():
        if kind == "unimodal_audio":
            assert isinstance(encoder, PreTrainedModel), "timm has no speech encoders"
            return build_audio_model(
                encoder, name, **sizes, **pooling, age_as_fraction=age_as_fraction
            )
        return build_face_model(encoder, name, **sizes, **pooling)


def _check_labels(
    folder: Path, output_layers: OutputLayers, metadata: Mapping[str, object]
) -> None:
    check_labels(
        folder,
        num_genders=_num_outputs(output_layers.gender),
        num_mask_types=_num_outputs(output_layers.mask_type),
        metadata=metadata,
    )
