"""State dicts of the published unimodal models -> our models."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import (
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    ViTConfig,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
)

from oragen.models.outline import outlining
from oragen.models.state_dict import ANY_LENGTH, Shape, check_state_dict
from oragen.models.unimodal.audio import UnimodalAudioModel
from oragen.models.unimodal.build import build_audio_model, build_face_model
from oragen.models.unimodal.face import UnimodalFaceModel
from oragen.models.unimodal.positions import POSITIONS, check_positions
from oragen.models.unimodal.published_configs import PublishedSource, released_config
from oragen.models.unimodal.published_names import (
    PUBLISHED,
    PublishedModel,
    current_name,
    place,
    take,
)
from oragen.schema.errors import UserError

STD_CORRECTIONS: Final[Mapping[PublishedSource, int]] = {"orig": 1, "chimera": 0}


def build_published_model(
    model: str,
    published: Mapping[str, Tensor],
    *,
    source: PublishedSource,
    encoder_config: Mapping[str, Any] | None = None,
    num_genders: int = 2,
    age_as_fraction: bool = False,
) -> UnimodalAudioModel | UnimodalFaceModel:
    """Build the model of a published state dict, with its weights, in evaluation mode.

    The age is a logit, also where the published class returned its sigmoid (faces in `orig`).

    Args:
        model: name of the published class, a key of `PUBLISHED`.
        published: its state dict; names of older versions of transformers and torch are known.
        source: whose model it is: they differ in the deviation of the pooling over time.
        encoder_config: arguments of the encoder's config. None: the 24-layer wav2vec
            2.0 or HuBERT (12 layers for the wav2vec 2.0 of `orig`), or ViT-B/16 at 224 pixels.
        num_genders: classes of gender. The models of audEERING have three; 2 keeps female and
            male.
        age_as_fraction: for the weights that audEERING released, whose age layer was trained to
            return age / 100 itself. The published code still takes a sigmoid of it, and so do
            we where this is False.

    Raises:
        UserError: no such model, a config that no encoder can have, or weights that are unknown,
            missing or of another shape.
    """
    title, description = f"{model} of {source}", _describe(model)
    if description.pooling == "mean" and num_genders not in {2, 3}:
        raise UserError(f"{model} has 2 or 3 genders, found num_genders={num_genders}.")
    if age_as_fraction and description.pooling != "mean":
        raise UserError(f"{model} returns the age as a logit: age_as_fraction is for audEERING's.")
    config = released_config(description, source) if encoder_config is None else encoder_config
    encoder = _build_encoder(description, config)
    ours = _build(description, source, encoder, num_genders, age_as_fraction=age_as_fraction)
    places = {
        name: place(description, name, tuple(weight.shape), num_genders=num_genders)
        for name, weight in ours.state_dict().items()
    }
    original_names = _list_names(published)
    renamed = {current: published[original] for current, original in original_names.items()}
    check_state_dict(
        title,
        renamed,
        expected={where.name: where.shape for where in places.values()}
        | _unused_classifier(description, encoder),
        optional=_unused_in_blocks(description, source, encoder),
        original_names=original_names,
        remedy="Name the model, its source and its encoder's config as the checkpoint was made.",
    )
    check_positions(title, renamed)
    weights = {name: take(renamed[where.name], where.part) for name, where in places.items()}
    ours.load_state_dict({name: _own(weight) for name, weight in weights.items()}, assign=True)
    return ours.eval()


def _describe(model: str) -> PublishedModel:
    if model not in PUBLISHED:
        raise UserError(
            f"{model!r} is no published unimodal model. Name one of {', '.join(PUBLISHED)}."
        )
    return PUBLISHED[model]


def _build_encoder(description: PublishedModel, config: Mapping[str, Any]) -> PreTrainedModel:
    """Build an encoder without weights.

    Raises:
        UserError: no encoder can have this config.
    """
    try:
        with outlining():
            match description.encoder:
                case "wav2vec2":
                    return Wav2Vec2Model(Wav2Vec2Config(**config))
                case "hubert":
                    return HubertModel(HubertConfig(**config))
                case "vit":
                    return ViTModel(ViTConfig(**config), add_pooling_layer=False)
    except (StrictDataclassError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"The encoder config {dict(config)} is not one of a {description.encoder}: {reason}"
        ) from error


def _build(
    description: PublishedModel,
    source: PublishedSource,
    encoder: PreTrainedModel,
    num_genders: int,
    *,
    age_as_fraction: bool,
) -> UnimodalAudioModel | UnimodalFaceModel:
    with outlining():
        match description.pooling:
            case "transformer" | "mean" as pooling:
                return build_audio_model(
                    encoder,
                    pooling,
                    num_genders=num_genders,
                    std_correction=STD_CORRECTIONS[source],
                    age_as_fraction=age_as_fraction,
                )
            case "self_attention" | "gated" as pooling:
                return build_face_model(encoder, pooling, num_genders=num_genders)


def _list_names(published: Mapping[str, Tensor]) -> dict[str, str]:
    """Return current names -> names in the file."""
    names: dict[str, str] = {}
    for name in published:
        current = current_name(name)
        if current in names:
            raise UserError(f"{names[current]} and {name} are two names of one weight. Remove one.")
        names[current] = name
    return names


def _unused_classifier(description: PublishedModel, encoder: PreTrainedModel) -> dict[str, Shape]:
    """Return the unused weights of the age classifier that the encoder of a face model was."""
    if description.encoder != "vit":
        return {}
    num_classes, width = encoder.config.num_labels, encoder.config.hidden_size
    assert num_classes is not None  # transformers counts them itself
    return {
        "vit_model.classifier.weight": (num_classes, width),
        "vit_model.classifier.bias": (num_classes,),
    }


def _unused_in_blocks(
    description: PublishedModel, source: PublishedSource, encoder: PreTrainedModel
) -> dict[str, Shape]:
    """Return what transformer blocks hold besides: a table of positions, in `orig` unused norms."""
    if description.pooling != "transformer":
        return {}
    width = encoder.config.hidden_size
    unused: dict[str, Shape] = {}
    for block in ("transformer_block1", "transformer_block2"):
        unused[block + POSITIONS] = (1, ANY_LENGTH, width)
        if source == "orig":
            unused[f"{block}.feed_forward.layer_norm.weight"] = (width,)
            unused[f"{block}.feed_forward.layer_norm.bias"] = (width,)
    return unused


def _own(weight: Tensor) -> Tensor:
    """Copy, so that training the model does not change the state dict it came from."""
    return weight.clone(memory_format=torch.contiguous_format).float()
