"""A state dict -> which published model it is of."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from oragen.models.heads import PublishedLevel

_AUDIO_LEVELS: dict[int, PublishedLevel] = {512: "EARLY", 1024: "INTERMEDIATE"}


class Recognised(NamedTuple):
    """A published model, and the level of a fusion model where its weights show it."""

    model: str
    level: PublishedLevel | None


def recognise(state_dict: Mapping[str, Tensor]) -> Recognised | None:
    """Recognise a published model by the names of its weights; None if it is none.

    `MaskAgenderAVModelV2` and `V3` have the same weights and the same output; both are called V3.
    Face models get their names in chimera_ml.
    """
    modules = {name.rpartition(".")[0] for name in state_dict}
    if any(_is_in(module, "mtcma_av") for module in modules):
        return Recognised(_fusion_model(modules), _level(state_dict))
    model = _audio_model(modules) or _face_model(modules)
    return None if model is None else Recognised(model, None)


def proves_orig(state_dict: Mapping[str, Tensor]) -> bool:
    """Return whether there are the unused norms that only markitantov/ORAGEN has."""
    return any(
        re.match(r"transformer_block\d\.feed_forward\.layer_norm\.", name) for name in state_dict
    )


def _is_in(module: str, parent: str) -> bool:
    return f".{module}.".find(f".{parent}.") >= 0


def _fusion_model(modules: set[str]) -> str:
    if "cl_maskhead" in modules:
        return "MaskAgenderAVModelV1"
    if "av_model.cl_head.fc_mask" in modules:
        return "MaskAgenderAVModelV3"
    if "fc" in modules:
        return "AVModelV1"
    return "AVModelV2" if "cl_head.fc_gender" in modules else "AVModelV3"


def _level(state_dict: Mapping[str, Tensor]) -> PublishedLevel | None:
    """Read the level off the width of the audio, which every model resamples except at `LATE`."""
    audio = {name: tensor for name, tensor in state_dict.items() if "downsampling_a" in name}
    if not audio:
        return "LATE"
    for name, tensor in state_dict.items():
        if name.endswith("downsampling_a.2.weight") and tensor.ndim == 2:
            return _AUDIO_LEVELS.get(tensor.shape[1])
    for name, tensor in state_dict.items():  # AVModelV1 attends from the audio in its own width
        if name.endswith("mtcma_av.norm_q.weight"):
            return _AUDIO_LEVELS.get(len(tensor))
    return None


def _audio_model(modules: set[str]) -> str | None:
    encoders = {module.partition(".")[0] for module in modules}
    has_blocks = any(module.startswith("transformer_block") for module in modules)
    if "wav2vec2" in encoders and has_blocks:
        return "AGenderAudioW2V2Model"
    if "hubert" in encoders and has_blocks:
        return "AGenderAudioHuBERTModel"
    return "AgeGenderSOTAModel" if {"wav2vec2", "gender", "age"} <= encoders else None


def _face_model(modules: set[str]) -> str | None:
    if any(module.startswith("model_final.gal") for module in modules) or (
        "model_final.fcl_x1" in modules
    ):
        return "AGenderImageVITGSAModel"
    if any(module.startswith("model_final.") for module in modules):
        return "AGenderImageVITDPALModel"
    return None
