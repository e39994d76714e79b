"""Names of our weights -> where each lies in a published state dict.

The names are those of markitantov/ORAGEN and of chimera_ml `examples/oragen`, which agree except
for weights that no output depends on.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, assert_never

from torch import Tensor

Part = Literal[
    "all",
    "all but the last row",  # of a joint output layer: the genders
    "the last row",  # of a joint output layer: the age
    "transposed",
    "female and male of three",  # audEERING's genders are female, male, child
    "three genders in our order",  # child, female, male
]

_BLOCK: Final = {
    r"attention\.to_query": "self_attention.query_w",
    r"attention\.to_key": "self_attention.keys_w",
    r"attention\.to_value": "self_attention.values_w",
    r"attention\.to_output": "self_attention.ff_layer_after_concat",
    r"attention_norm": "add_norm_after_attention.layer_norm",
    r"refine\.0": "feed_forward.layer_1",
    r"refine\.3": "feed_forward.layer_2",
    r"refine_norm": "add_norm_after_ff.layer_norm",
}
_TRANSFORMER: Final = {
    **{
        rf"summary\.blocks\.{block}\.{ours}": f"transformer_block{block + 1}.{published}"
        for block in range(2)
        for ours, published in _BLOCK.items()
    },
    r"summary\.merge": "fc1",
    r"decisions\.(gender|age)": "cl_head.fc_agender",
}
_MEAN: Final = {
    r"decisions\.(gender|age)\.1": r"\1.dense",
    r"decisions\.(gender|age)\.4": r"\1.out_proj",
}
_FACE: Final = {
    r"encoder": "vit_model.vit",
    r"summary\.project": "model_final.fcl_x",
    r"summary\.to_(query|key|value)": r"model_final.dpal.\1",
    r"summary\.project_first": "model_final.fcl_x1",
    r"summary\.project_second": "model_final.fcl_x2",
    r"summary\.squeeze_first\.weight": "model_final.gal.WF1",
    r"summary\.squeeze_second\.weight": "model_final.gal.WF2",
    r"summary\.gate\.weight": "model_final.gal.WF",
    r"summary\.merge": "model_final.fcl",
    r"decisions\.(gender|age)": "model_final.classifier",
}


class PublishedModel(NamedTuple):
    """A published class: its parts, and our modules -> its modules, as patterns."""

    encoder: Literal["wav2vec2", "hubert", "vit"]
    pooling: Literal["transformer", "mean", "self_attention", "gated"]
    modules: Mapping[str, str]


_DPAL: Final = PublishedModel("vit", "self_attention", _FACE)
_GSA: Final = PublishedModel("vit", "gated", _FACE)
PUBLISHED: Final[Mapping[str, PublishedModel]] = {
    "AGenderAudioW2V2Model": PublishedModel(
        "wav2vec2", "transformer", {r"encoder": "wav2vec2", **_TRANSFORMER}
    ),
    "AGenderAudioHuBERTModel": PublishedModel(
        "hubert", "transformer", {r"encoder": "hubert", **_TRANSFORMER}
    ),
    "AgeGenderSOTAModel": PublishedModel("wav2vec2", "mean", {r"encoder": "wav2vec2", **_MEAN}),
    "AGenderImageVITDPALModel": _DPAL,
    "AGenderImageVITGSAModel": _GSA,
    "VIT_DPAL": _DPAL,  # `orig` calls them so
    "VIT_GSA": _GSA,
}

# Names in transformers 4.x and older weight norms -> current names, replaced in this order.
_OLD_NAMES: Final = (
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
    (".vit.encoder.layer.", ".vit.layers."),
    (".attention.attention.query.", ".attention.q_proj."),
    (".attention.attention.key.", ".attention.k_proj."),
    (".attention.attention.value.", ".attention.v_proj."),
    (".attention.output.dense.", ".attention.o_proj."),
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
)


class Place(NamedTuple):
    """Where a weight of ours lies: its published name and shape, and what part of it."""

    name: str
    shape: tuple[int, ...]
    part: Part


def current_name(name: str) -> str:
    """Turn a name of older versions into that of transformers 5.x and of torch's weight norm."""
    for old, current in _OLD_NAMES:
        name = name.replace(old, current)
    return name


def place(model: PublishedModel, ours: str, shape: tuple[int, ...], *, num_genders: int) -> Place:
    """Find where a published model keeps a weight of ours that has this shape."""
    name = _published_name(model.modules, ours)
    if name.startswith("model_final.gal."):
        return Place(name, shape[::-1], "transposed")
    if name.startswith(("cl_head.fc_agender.", "model_final.classifier.")):
        is_age = ours.startswith("decisions.age.")
        part: Part = "the last row" if is_age else "all but the last row"
        return Place(name, (num_genders + 1, *shape[1:]), part)
    if name.startswith("gender.out_proj."):
        three: Part = "three genders in our order"
        return Place(
            name, (3, *shape[1:]), "female and male of three" if num_genders == 2 else three
        )
    return Place(name, shape, "all")


def take(published: Tensor, part: Part) -> Tensor:
    """Take the part of a published weight that is a weight of ours."""
    match part:
        case "all":
            return published
        case "all but the last row":
            return published[:-1]
        case "the last row":
            return published[-1:]
        case "transposed":
            return published.T
        case "female and male of three":
            return published[:2]
        case "three genders in our order":
            return published[[2, 0, 1]]
        case _:
            assert_never(part)


def _published_name(modules: Mapping[str, str], ours: str) -> str:
    for pattern, published in modules.items():
        if match := re.match(rf"{pattern}(?=\.|$)", ours):
            return match.expand(published) + ours[match.end() :]
    raise AssertionError(f"a published model has no place for {ours}")
