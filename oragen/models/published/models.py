"""State dicts of the published models -> our modules, by the names they were published under."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads import PUBLISHED_HEADS, Head, PublishedLevel, load_published_head
from oragen.models.output import HeadOutput
from oragen.models.unimodal import (
    PUBLISHED,
    PublishedSource,
    UnimodalAudioModel,
    UnimodalFaceModel,
    build_published_model,
)
from oragen.models.unimodal.published import STD_CORRECTIONS
from oragen.models.unimodal.waveforms import Order
from oragen.schema.errors import UserError

_ORDERS: Final[Mapping[PublishedSource, Order]] = {
    "orig": "normalise_then_pad",
    "chimera": "pad_then_normalise",
}


class PublishedFusion(nn.Module):
    """A head with the interface of the published fusion models: all features are valid.

    Args:
        head: one of fixed length.
        level: audio is `batch x width x steps` at `EARLY`, `batch x steps x width` at
            `INTERMEDIATE` and `batch x width` at `LATE`, where the face is
            `batch x slots x width`; elsewhere that is `batch x slots x rows x width`.
    """

    def __init__(self, head: Head, level: PublishedLevel) -> None:
        super().__init__()
        self.head = head
        self.level: PublishedLevel = level

    def forward(
        self, audio: Float[Tensor, "batch ..."], face: Float[Tensor, "batch ..."]
    ) -> HeadOutput:
        self._check(audio, face)
        match self.level:
            case "EARLY":
                audio = audio.transpose(1, 2)
            case "LATE":
                audio, face = audio[:, None], face[:, :, None]
            case "INTERMEDIATE":
                pass
        output: HeadOutput = self.head(audio, _all_valid(audio), face, _all_valid(face))
        return output

    def _check(self, audio: Tensor, face: Tensor) -> None:
        sizes = self.head.spec.sizes
        face_axes = [sizes.face_slots, sizes.face_layers, sizes.face_width]
        match self.level:
            case "EARLY":
                audio_axes = [sizes.audio_width, sizes.audio_steps]
            case "INTERMEDIATE":
                audio_axes = [sizes.audio_steps, sizes.audio_width]
            case "LATE":
                audio_axes, face_axes = [sizes.audio_width], [sizes.face_slots, sizes.face_width]
        for name, states, axes in (("audio", audio, audio_axes), ("face", face, face_axes)):
            if list(states.shape[1:]) != axes:
                raise UserError(
                    f"At level {self.level} the {name} must be {_text('batch', *axes)}, found "
                    f"{_text(*states.shape)}."
                )


def build(
    model: str,
    level: str | None,
    state_dict: Mapping[str, Tensor],
    source: str = "chimera",
    encoder_config: Mapping[str, Any] | None = None,
    *,
    age_as_fraction: bool = False,
) -> PublishedFusion | UnimodalAudioModel | UnimodalFaceModel:
    """Build a published model of the weights in a state dict, in evaluation mode.

    Call it with `(audio, face)`, `(waveforms)` or `(images)`, at any batch size. It returns a
    `HeadOutput`. The age is a logit in all models, also where the published class returned its
    sigmoid (face models of `orig`).
    Waveforms must be normalised in the order of the same source, see `waveform_order`.

    Args:
        model: name of the published class, one of `PUBLISHED_HEADS` or `PUBLISHED`.
        level: `EARLY`, `INTERMEDIATE` or `LATE` for fusion, None for unimodal models.
        state_dict: with its published names, of the current or older versions of libraries.
        source: `orig` for weights of markitantov/ORAGEN, `chimera` for the released ones of
            chimera_ml. They differ in the deviation of the pooling.
        encoder_config: of a unimodal model; None: that of the released encoder.
        age_as_fraction: see `build_published_model`.

    Raises:
        UserError: names the weights that are unknown, missing or misshapen, or the choices.
    """
    whose = find_source(source)
    if _choose("model", model, [*PUBLISHED_HEADS, *PUBLISHED]) in PUBLISHED:
        if level is not None:
            raise UserError(f"{model} is unimodal and has no level, found {level!r}: give None.")
        return build_published_model(
            model,
            state_dict,
            source=whose,
            encoder_config=encoder_config,
            age_as_fraction=age_as_fraction,
        )
    if encoder_config is not None or age_as_fraction:
        raise UserError(f"{model} works on features: it has no encoder to configure.")
    found = find_level(model, level)
    head = load_published_head(model, found, state_dict, std_correction=STD_CORRECTIONS[whose])
    return PublishedFusion(head, found).eval()


def waveform_order(source: str) -> Order:
    """Return the order in which `prepare_waveforms` must pad and normalise for a source's models.

    Raises:
        UserError: no such source.
    """
    return _ORDERS[find_source(source)]


def find_source(name: str) -> PublishedSource:
    """Return the source of this name.

    Raises:
        UserError: lists the choices.
    """
    chosen = _choose("source", name, STD_CORRECTIONS)
    return next(source for source in STD_CORRECTIONS if source == chosen)


def find_level(model: str, name: str | None) -> PublishedLevel:
    """Return the level of this name, for a fusion model.

    Raises:
        UserError: lists the choices.
    """
    levels: tuple[PublishedLevel, ...] = get_args(PublishedLevel)
    if name is None:
        raise UserError(f"{model} needs the level of its features: {', '.join(levels)}.")
    chosen = _choose("level", name, levels)
    return next(level for level in levels if level == chosen)


def _choose(what: str, name: str, choices: Collection[str]) -> str:
    if name in choices:
        return name
    lowered = {choice.lower(): choice for choice in choices}
    close = get_close_matches(name.lower(), lowered, n=1)
    suggestion = f" Did you mean {lowered[close[0]]!r}?" if close else ""
    raise UserError(
        f"{name!r} is no published {what}.{suggestion} There are: {', '.join(choices)}."
    )


def _all_valid(states: Float[Tensor, "batch length ..."]) -> Bool[Tensor, "batch length"]:
    return torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)


def _text(*axes: int | str) -> str:
    return " x ".join(map(str, axes))
