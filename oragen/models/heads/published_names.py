"""Names of our weights -> where each lies in a state dict of a published fusion model.

The names are those of markitantov/ORAGEN and of chimera_ml `examples/oragen`, which agree.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, assert_never

from torch import Tensor

from oragen.models.heads.contract import HeadSizes
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import GENDERS, MASK_TYPES

PublishedLevel = Literal["EARLY", "INTERMEDIATE", "LATE"]

_AUDIO_STEPS: Final = 199  # of 4 s
_FACE_SLOTS: Final = 4
_WIDTHS: Final[Mapping[PublishedLevel, tuple[int, int, int, int]]] = {
    # audio steps and width, face rows and width
    "EARLY": (_AUDIO_STEPS, 512, 197, 768),
    "INTERMEDIATE": (_AUDIO_STEPS, 1024, 13, 768),
    "LATE": (1, 256, 1, 128),
}

_ATTENTION: Final = {
    r"query\.0": "norm_q",
    r"key\.0": "norm_k",
    r"value\.0": "norm_v",
    r"query\.1": "fc_q",
    r"key\.1": "fc_k",
    r"value\.1": "fc_v",
    r"attention\.to_query": "self_attention.query_w",
    r"attention\.to_key": "self_attention.keys_w",
    r"attention\.to_value": "self_attention.values_w",
    r"attention\.to_output": "self_attention.ff_layer_after_concat",
    r"refine\.(\d)": r"mlp.\1",
}
_MODULES: Final = {
    **{
        rf"{direction}\.{ours}": f"{published_direction}.{published}"
        for direction, published_direction in (
            ("audio_to_face", "mtcma_av"),
            ("face_to_audio", "mtcma_va"),
        )
        for ours, published in _ATTENTION.items()
    },
    r"trunk\.0": "fc",
    r"(gender|age)_branch\.0": r"\1_branch.0",
}


class PublishedHead(NamedTuple):
    """A published class: our name for it, and how it differs from the others."""

    name: HeadName
    prefix: str = ""  # of weights that a mask model took over from a model without mask types
    mask_type: str | None = None  # its output layer


_MASK_HEAD: Final = PublishedHead("joint", "av_model.", "av_model.cl_head.fc_mask")
PUBLISHED_HEADS: Final[Mapping[str, PublishedHead]] = {
    "AVModelV1": PublishedHead("shared"),
    "AVModelV2": PublishedHead("separate"),
    "AVModelV3": PublishedHead("joint"),
    "MaskAgenderAVModelV1": PublishedHead("joint", "av_model.", "cl_maskhead"),
    "MaskAgenderAVModelV2": _MASK_HEAD,  # differs from the next in what is trained
    "MaskAgenderAVModelV3": _MASK_HEAD,
}


class Place(NamedTuple):
    """Where a weight of ours lies: its published name and shape, and which of its rows."""

    name: str
    shape: tuple[int, ...]
    rows: slice

    def take(self, state_dict: Mapping[str, Tensor]) -> Tensor:
        return state_dict[self.name][self.rows]


def published_sizes(model: PublishedHead, level: PublishedLevel) -> HeadSizes:
    """Return the sizes, which are fixed in the published classes."""
    audio_steps, audio_width, face_layers, face_width = _WIDTHS[level]
    return HeadSizes(
        audio_steps=audio_steps,
        audio_width=audio_width,
        face_slots=_FACE_SLOTS,
        face_layers=face_layers,
        face_width=face_width,
        num_genders=len(GENDERS),
        num_mask_types=len(MASK_TYPES) if model.mask_type else 0,
    )


def place(model: PublishedHead, level: PublishedLevel, ours: str, shape: tuple[int, ...]) -> Place:
    """Find where a published model keeps a weight of ours that has this shape."""
    module, _, kind = ours.rpartition(".")
    if module.startswith("decisions."):
        return _place_output_layer(model, module.removeprefix("decisions."), kind, shape)
    if module.startswith(("audio_tokens.", "face_tokens.")):
        published = _resampling(model, level, module)
    else:
        published = _module(module)
    return Place(f"{model.prefix}{published}.{kind}", shape, slice(None))


def _place_output_layer(
    model: PublishedHead, task: str, kind: str, shape: tuple[int, ...]
) -> Place:
    if task == "mask_type":
        return Place(f"{model.mask_type}.{kind}", shape, slice(None))
    if model.name == "separate":
        return Place(f"{model.prefix}cl_head.fc_{task}.{kind}", shape, slice(None))
    num_rows = len(GENDERS) + 1  # genders, then the age
    rows = slice(len(GENDERS), None) if task == "age" else slice(len(GENDERS))
    return Place(f"{model.prefix}cl_head.fc_agender.{kind}", (num_rows, *shape[1:]), rows)


def _resampling(model: PublishedHead, level: PublishedLevel, module: str) -> str:
    """Name a module of an nn.Sequential: its number depends on the modules before it."""
    modality, _, over = module.partition("_tokens.")
    published = {"audio": "downsampling_a", "face": "downsampling_v"}[modality]
    if over == "over_time":
        return published if model.name == "shared" else f"{published}.0"
    match level:
        case "LATE":
            return f"{published}.2"
        case "EARLY" | "INTERMEDIATE":
            return f"{published}.2" if modality == "audio" else f"{published}.1"
        case _:
            assert_never(level)


def _module(ours: str) -> str:
    for pattern, published in _MODULES.items():
        if match := re.fullmatch(pattern, ours):
            return match.expand(published)
    raise AssertionError(f"a published model has no place for {ours}")
