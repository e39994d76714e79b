"""A window and what is valid in it -> inputs in which the rest is hidden."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def hide_invalid(
    states: Float[Tensor, "batch length *features"], valid: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch length *features"]:
    """Set what is not valid to zero, even NaN."""
    return states.masked_fill(~_expand(valid, states), 0.0)


def repeat_last_valid(
    slots: Float[Tensor, "batch slots *features"], valid: Bool[Tensor, "batch slots"]
) -> Float[Tensor, "batch slots *features"]:
    """Move the valid slots to the front, in order, and fill up with the last of them.

    The published training does so with windows of fewer crops than slots. A row without a valid
    slot becomes zeros.
    """
    valid_first = valid.int().argsort(dim=1, descending=True, stable=True)
    last = valid.sum(dim=1, keepdim=True) - 1
    slot = torch.arange(slots.shape[1], device=slots.device).expand_as(valid)
    source = valid_first.gather(1, torch.minimum(slot, last.clamp(min=0)))  # batch, slots
    filled = slots.gather(1, _expand(source, slots).expand_as(slots))
    return hide_invalid(filled, valid.any(dim=1, keepdim=True).expand_as(valid))


def drop_modality(
    audio_valid: Bool[Tensor, "batch steps"],
    face_valid: Bool[Tensor, "batch slots"],
    *,
    probability: float,
    generator: torch.Generator,
) -> tuple[Bool[Tensor, "batch steps"], Bool[Tensor, "batch slots"]]:
    """Hide the audio or the face of a row, as if it was never recorded: an augmentation.

    One half of `probability` hides the audio, the other the face; never both, and a row that has
    only one modality keeps it. The published training uses 0.5.

    Returns:
        `audio_valid` and `face_valid` with the hidden ones False.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must be in 0..1, found {probability}.")
    draw = torch.rand(len(audio_valid), generator=generator, device=generator.device)
    draw = draw.to(audio_valid.device)
    has_both = audio_valid.any(dim=1) & face_valid.any(dim=1)
    hide_audio = has_both & (draw < probability / 2)
    hide_face = has_both & (draw >= probability / 2) & (draw < probability)
    return audio_valid & ~hide_audio[:, None], face_valid & ~hide_face[:, None]


def _expand(per_token: Tensor, states: Tensor) -> Tensor:
    return per_token.reshape(*per_token.shape, *[1] * (states.ndim - per_token.ndim))
