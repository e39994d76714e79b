"""Entries of a state dict -> which published model they are of."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from oragen.models.heads import PublishedLevel

_AUDIO_LEVELS: dict[int, PublishedLevel] = {512: "EARLY", 1024: "INTERMEDIATE"}


class Recognised(NamedTuple):
    """A published model; a level only where it is a fusion model that shows its level."""

    model: str
    level: PublishedLevel | None


def recognise(entries: Mapping[str, Tensor]) -> Recognised | None:
    """Tell a published model from the names of its entries, or None where it is none.

    `MaskAgenderAVModelV2` and `V3` have the same entries and give the same answers; they count as
    V3. The models of faces are called as chimera_ml calls them.
    """
    modules = {name.rpartition(".")[0] for name in entries}
    if any(_is_in(module, "mtcma_av") for module in modules):
        return Recognised(_fusion_model(modules), _level(entries))
    model = _audio_model(modules) or _face_model(modules)
    return None if model is None else Recognised(model, None)


def proves_orig(entries: Mapping[str, Tensor]) -> bool:
    """Tell whether there are the norms that only markitantov/ORAGEN has, and does not use."""
    return any(
        re.match(r"transformer_block\d\.feed_forward\.layer_norm\.", name) for name in entries
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


def _level(entries: Mapping[str, Tensor]) -> PublishedLevel | None:
    """Read the level off the width of the audio, which all models squeeze but at `LATE`."""
    audio = {name: tensor for name, tensor in entries.items() if "downsampling_a" in name}
    if not audio:
        return "LATE"
    for name, tensor in entries.items():
        if name.endswith("downsampling_a.2.weight") and tensor.ndim == 2:
            return _AUDIO_LEVELS.get(tensor.shape[1])
    for name, tensor in entries.items():  # AVModelV1 attends from the audio as it is
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
