"""State dicts of the published fusion models -> our heads.

The names are those of markitantov/ORAGEN and of chimera_ml `examples/oragen`, which agree.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

from torch import Tensor

from oragen.heads.build import build_head
from oragen.heads.contract import Head, HeadName, HeadSizes

# Pattern of a published module -> our module. The digits are places in an nn.Sequential.
_MODULES: Final = {
    r"downsampling_a(\.0)?": "audio_tokens.over_time",
    r"downsampling_a\.2": "audio_tokens.over_features",
    r"downsampling_v(\.0)?": "face_tokens.over_time",
    r"downsampling_v\.[12]": "face_tokens.over_features",
    r"mtcma_av\.(.+)": r"audio_to_face.\1",
    r"mtcma_va\.(.+)": r"face_to_audio.\1",
    r"fc": "trunk.0",
    r"(gender|age)_branch\.0": r"\1_branch.0",
    r"cl_head\.fc_(gender|age)": r"decisions.\1",
    r"cl_head\.fc_mask|cl_maskhead": "decisions.mask_type",
}
_ATTENTION_MODULES: Final = {
    r"norm_q": "query.0",
    r"norm_k": "key.0",
    r"norm_v": "value.0",
    r"fc_q": "query.1",
    r"fc_k": "key.1",
    r"fc_v": "value.1",
    r"self_attention\.query_w": "attention.to_query",
    r"self_attention\.keys_w": "attention.to_key",
    r"self_attention\.values_w": "attention.to_value",
    r"self_attention\.ff_layer_after_concat": "attention.to_output",
    r"mlp\.(0|3|4)": r"refine.\1",
}


def from_published_state_dict(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours, ready for a strict `load_state_dict`.

    The layer that gives gender and age at once is split in two: its last row is the age.

    Raises:
        ValueError: a name that no published fusion model has.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in published.items():
        module, _, kind = name.removeprefix("av_model.").rpartition(".")
        if module == "cl_head.fc_agender":
            renamed[f"decisions.gender.{kind}"] = tensor[:-1]
            renamed[f"decisions.age.{kind}"] = tensor[-1:]
        else:
            renamed[f"{_rename(module, name)}.{kind}"] = tensor
    return renamed


def load_published_head(
    published: Mapping[str, Tensor], *, std_correction: int, face_width: int = 768
) -> Head:
    """Build the head a published state dict belongs to, and load it.

    Args:
        published: the state dict, with its published names.
        std_correction: 1 for weights of markitantov/ORAGEN, 0 for those of chimera_ml; the
            state dict itself does not tell.
        face_width: size of one hidden state of the face encoder. Only layers times width can be
            read from the weights; at level `late` it is not used.

    Raises:
        ValueError: this is no state dict of a published fusion model.
    """
    weights = from_published_state_dict(published)
    try:
        is_late = "audio_tokens.over_time.weight" not in weights
        sizes = _sizes(weights, is_late=is_late, face_width=face_width)
        width = len(weights["audio_to_face.attention.to_output.weight"])
        head = build_head(_name(published), sizes, width=width, std_correction=std_correction)
        head.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"These {len(published)} entries are not the whole state dict of a published fusion "
            f"model with face_width={face_width}: {error}"
        ) from error
    return head.eval()


def _rename(module: str, name: str) -> str:
    for pattern, ours in _MODULES.items():
        if match := re.fullmatch(pattern, module):
            direction, dot, inner = match.expand(ours).partition(".")
            if direction in {"audio_to_face", "face_to_audio"}:
                return direction + dot + _rename_inside_attention(inner, name)
            return direction + dot + inner
    raise _unknown(name)


def _rename_inside_attention(module: str, name: str) -> str:
    for pattern, ours in _ATTENTION_MODULES.items():
        if match := re.fullmatch(pattern, module):
            return match.expand(ours)
    raise _unknown(name)


def _unknown(name: str) -> ValueError:
    return ValueError(
        f"{name!r} belongs to no published fusion model (AVModelV1-V3, MaskAgenderAVModelV1-V3)."
    )


def _name(published: Mapping[str, Tensor]) -> HeadName:
    modules = {name.removeprefix("av_model.").rpartition(".")[0] for name in published}
    if "fc" in modules:
        return "shared"
    return "separate" if "cl_head.fc_gender" in modules else "joint"


def _sizes(weights: Mapping[str, Tensor], *, is_late: bool, face_width: int) -> HeadSizes:
    """Read the sizes off our weights; at level `late` there is nothing to squeeze in the audio."""
    over_time = weights[f"{'face' if is_late else 'audio'}_tokens.over_time.weight"].shape
    mask_type = weights.get("decisions.mask_type.bias")
    face_features = _features_width(weights, "face")
    return HeadSizes(
        audio_steps=1 if is_late else over_time[1],
        audio_width=_features_width(weights, "audio"),
        face_slots=over_time[1] if is_late else over_time[0],
        face_layers=1 if is_late else face_features // face_width,
        face_width=face_features if is_late else face_width,
        num_genders=len(weights["decisions.gender.bias"]),
        num_mask_types=0 if mask_type is None else len(mask_type),
    )


def _features_width(weights: Mapping[str, Tensor], modality: Literal["audio", "face"]) -> int:
    """Width of a modality's features: what its projection takes, or else its attention."""
    if (projection := weights.get(f"{modality}_tokens.over_features.weight")) is not None:
        return projection.shape[1]
    other = {"audio": "face", "face": "audio"}[modality]
    return len(weights[f"{modality}_to_{other}.query.0.weight"])
