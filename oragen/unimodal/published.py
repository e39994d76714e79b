"""State dicts of the published unimodal models -> our models."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import torch
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

from oragen.schema import UserError
from oragen.unimodal.audio import UnimodalAudioModel
from oragen.unimodal.build import build_audio_model, build_face_model
from oragen.unimodal.entries import ANY_LENGTH, POSITIONS, Shape, check_entries, check_positions
from oragen.unimodal.face import UnimodalFaceModel
from oragen.unimodal.published_names import PUBLISHED, PublishedModel, current_name, place, take

PublishedSource = Literal[
    "orig",  # markitantov/ORAGEN
    "chimera",  # chimera_ml examples/oragen: the released weights
]
STD_CORRECTIONS: Final[Mapping[PublishedSource, int]] = {"orig": 1, "chimera": 0}

LARGE_SPEECH_ENCODER: Final[Mapping[str, Any]] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "conv_bias": True,
}
NUM_AGE_CLASSES: Final = 9  # of nateraw/vit-age-classifier; nothing uses its classifier


def build_published_model(
    model: str,
    published: Mapping[str, Tensor],
    *,
    source: PublishedSource,
    encoder_config: Mapping[str, Any] | None = None,
    num_genders: int = 2,
) -> UnimodalAudioModel | UnimodalFaceModel:
    """Build the model a published state dict belongs to, with its weights, in evaluation mode.

    The age is a logit, also where the published class gave its sigmoid (face models of `orig`).

    Args:
        model: name of the published class, a key of `PUBLISHED`.
        published: its state dict; the names of older versions of transformers and torch will do.
        source: whose model it is; the deviation in the pooling over time differs.
        encoder_config: arguments of the encoder's config. When not given: the 24-layer wav2vec
            2.0 or HuBERT (12 layers for the wav2vec 2.0 of `orig`), or ViT-B/16 at 224 pixels.
        num_genders: classes of gender; the models of audEERING tell three, of which we take
            female and male where it is 2.

    Raises:
        UserError: no such model, or entries that are unknown, missing or of another shape.
    """
    title, description = f"{model} of {source}", _describe(model)
    if description.summary == "mean" and num_genders not in {2, 3}:
        raise UserError(f"{model} tells 2 or 3 genders, found num_genders={num_genders}.")
    config = _released_config(description, source) if encoder_config is None else encoder_config
    with torch.device("meta"):
        ours = _build(description, source, _build_encoder(description, config), num_genders)
    places = {
        name: place(description, name, tuple(weight.shape), num_genders=num_genders)
        for name, weight in ours.state_dict().items()
    }
    names_found = _names_found(published)
    entries = {current: published[found] for current, found in names_found.items()}
    check_entries(
        title,
        entries,
        expected={where.entry: where.shape for where in places.values()}
        | _unused_classifier(description, ours.encoder),
        optional=_unused_in_blocks(description, source, ours.encoder),
        names_found=names_found,
    )
    check_positions(title, entries)
    weights = {name: take(entries[where.entry], where.part) for name, where in places.items()}
    ours.load_state_dict({name: _own(weight) for name, weight in weights.items()}, assign=True)
    return ours.eval()


def _describe(model: str) -> PublishedModel:
    if model not in PUBLISHED:
        raise UserError(
            f"{model!r} is no published unimodal model. Name one of {', '.join(PUBLISHED)}."
        )
    return PUBLISHED[model]


def _released_config(description: PublishedModel, source: PublishedSource) -> Mapping[str, Any]:
    match description.encoder, description.summary, source:
        case "vit", _, _:
            return {"num_labels": NUM_AGE_CLASSES}
        case "wav2vec2", "transformer", "orig":
            return {**LARGE_SPEECH_ENCODER, "num_hidden_layers": 12}
        case _:
            return LARGE_SPEECH_ENCODER


def _build_encoder(description: PublishedModel, config: Mapping[str, Any]) -> PreTrainedModel:
    match description.encoder:
        case "wav2vec2":
            return Wav2Vec2Model(Wav2Vec2Config(**config))
        case "hubert":
            return HubertModel(HubertConfig(**config))
        case "vit":
            return ViTModel(ViTConfig(**config), add_pooling_layer=False)


def _build(
    description: PublishedModel, source: PublishedSource, encoder: PreTrainedModel, num_genders: int
) -> UnimodalAudioModel | UnimodalFaceModel:
    match description.summary:
        case "transformer" | "mean" as summary:
            return build_audio_model(
                encoder, summary, num_genders=num_genders, std_correction=STD_CORRECTIONS[source]
            )
        case "self_attention" | "gated" as summary:
            return build_face_model(encoder, summary, num_genders=num_genders)


def _names_found(published: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of today -> names as found."""
    found: dict[str, str] = {}
    for name in published:
        current = current_name(name)
        if current in found:
            raise UserError(f"Entries {found[current]} and {name} are one under two names.")
        found[current] = name
    return found


def _unused_classifier(description: PublishedModel, encoder: PreTrainedModel) -> dict[str, Shape]:
    """Name what a face model still carries of the age classifier that its encoder was."""
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
    """Name what transformer blocks carry: the table of positions, and in `orig` unused norms."""
    if description.summary != "transformer":
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
