"""A head and windows -> what its attentions looked at: audio frames, crops, or nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oragen.models.heads import Head, MtcmaHead, SharedTrunkHead
from oragen.models.heads.cross_attention import CrossAttentionHead
from oragen.models.layers.attention import MultiHeadAttention
from oragen.models.layers.presence import hide_invalid, repeat_last_valid
from oragen.models.layers.resampling import TokenResampling
from oragen.reporting.attention.maps import TASK_QUERIES, AttentionMap, AttentionMaps


@torch.inference_mode()
def read_attention(
    head: Head,
    audio: Float[Tensor, "batch steps audio_width"],
    audio_valid: Bool[Tensor, "batch steps"],
    face: Float[Tensor, "batch slots layers face_width"],
    face_valid: Bool[Tensor, "batch slots"],
) -> AttentionMaps:
    """Run a head in evaluation mode and record what its attentions weigh.

    `cross_attention` has one map, `tasks`. It has a query for each task, over all audio frames, all
    layers of all crops, and the token for nothing. It shows one of the three outputs whose logits
    that head adds; the other two are made by pooling and have no attention.

    `shared`, `separate` and `joint` have the maps `audio_to_face` (queries are audio tokens) and
    `face_to_audio`. Their tokens are mixtures of inputs. So the way back from `weights` is:

    - The published order of crops, the valid ones first and the last repeated, is undone exactly:
      a slot gets what all copies of its crop got. Without any crop the tokens are nothing.
    - A token that a linear map made out of many places shares its weight among the valid ones, in
      proportion to the absolute weights of that map. This says which places the map looks at. It
      knows neither their signs nor their content, and is no more than a hint at time.

    Other heads have no attention: an empty dict.
    """
    with _recording(head) as recorded:
        head(audio, audio_valid, face, face_valid)
    match head:
        case CrossAttentionHead():
            weights = recorded["block.attention"]
            return {"tasks": _map_tasks(weights, num_steps=audio.shape[1], face=face)}
        case MtcmaHead() | SharedTrunkHead():
            steps = _origin(head.audio_tokens, _only_valid(audio_valid))
            slots = _origin(head.face_tokens, _repeated(face_valid))
            return {
                "audio_to_face": _map_face(recorded["audio_to_face.attention"], slots, steps),
                "face_to_audio": _map_audio(recorded["face_to_audio.attention"], steps, slots),
            }
        case _:
            return {}


def weigh_context(
    attention: MultiHeadAttention,
    queries: Float[Tensor, "batch query width"],
    keys: Float[Tensor, "batch context width"],
    context_valid: Bool[Tensor, "batch context"] | None = None,
) -> Float[Tensor, "batch num_heads query context"]:
    """Compute the weights that an attention keeps to itself: softmax(q k / sqrt(head width))."""
    by_head = [  # batch, tokens, width -> batch, num_heads, tokens, width of a head
        rearrange(tokens, "b n (h d) -> b h n d", h=attention.num_heads)
        for tokens in (attention.to_query(queries), attention.to_key(keys))
    ]
    scores = by_head[0] @ by_head[1].mT / by_head[0].shape[-1] ** 0.5
    if context_valid is not None:
        scores = scores.masked_fill(~context_valid[:, None, None, :], -torch.inf)
    return scores.softmax(dim=-1)  # type: ignore[no-any-return]


@contextmanager
def _recording(head: Head) -> Iterator[dict[str, Tensor]]:
    """Record the weights of all attentions inside a head, by their names in it."""
    recorded: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(_recorder(name, recorded))
        for name, module in head.named_modules()
        if isinstance(module, MultiHeadAttention)
    ]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


def _recorder(
    name: str, recorded: dict[str, Tensor]
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def record(attention: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(attention, MultiHeadAttention)
        queries, keys, _values, *context_valid = inputs
        recorded[name] = weigh_context(attention, queries, keys, *context_valid)

    return record


def _map_tasks(
    weights: Float[Tensor, "batch num_heads query context"],
    *,
    num_steps: int,
    face: Float[Tensor, "batch slots layers face_width"],
) -> AttentionMap:
    """Take apart a context of nothing, audio frames, and layers of crops."""
    num_slots, num_layers = face.shape[1:3]
    # batch, num_heads, query, context -> batch, query, context
    by_token = reduce(weights, "b h q c -> b q c", "mean")
    nothing, audio, crops = by_token.split([1, num_steps, num_slots * num_layers], dim=-1)
    return AttentionMap(
        queries=TASK_QUERIES,
        weights=_to_numpy(weights),
        audio=_to_numpy(audio),
        # batch, query, slots * layers -> batch, query, slots, layers
        face=_to_numpy(rearrange(crops, "b q (s l) -> b q s l", s=num_slots)),
        nothing=_to_numpy(nothing[..., 0]),
    )


def _map_face(
    weights: Float[Tensor, "batch num_heads query context"],
    slots: Float[Tensor, "batch context slots"],
    steps: Float[Tensor, "batch query steps"],
) -> AttentionMap:
    """Lay the weights of face tokens on the slots that they are made of."""
    # batch, num_heads, query, context -> batch, query, context -> batch, query, slots
    by_token = reduce(weights, "b h q c -> b q c", "mean")
    places = by_token @ slots
    return AttentionMap(
        queries=tuple(f"audio token {number + 1}" for number in range(weights.shape[2])),
        weights=_to_numpy(weights),
        audio=np.zeros((*places.shape[:2], steps.shape[2]), np.float32),
        face=_to_numpy(places[..., None]),  # a token is a whole crop: one layer
        nothing=_to_numpy(_sum_of_empty(by_token, slots)),
    )


def _map_audio(
    weights: Float[Tensor, "batch num_heads query context"],
    steps: Float[Tensor, "batch context steps"],
    slots: Float[Tensor, "batch query slots"],
) -> AttentionMap:
    """Lay the weights of audio tokens on the audio frames that they are made of."""
    # batch, num_heads, query, context -> batch, query, context -> batch, query, steps
    by_token = reduce(weights, "b h q c -> b q c", "mean")
    places = by_token @ steps
    return AttentionMap(
        queries=tuple(f"face token {number + 1}" for number in range(weights.shape[2])),
        weights=_to_numpy(weights),
        audio=_to_numpy(places),
        face=np.zeros((*places.shape[:2], slots.shape[2], 1), np.float32),
        nothing=_to_numpy(_sum_of_empty(by_token, steps)),
    )


def _sum_of_empty(
    weights: Float[Tensor, "batch query context"], origin: Float[Tensor, "batch context places"]
) -> Float[Tensor, "batch query"]:
    """Sum up the weights of the tokens that are made of no place."""
    is_empty = (origin.sum(dim=-1, keepdim=True) == 0).to(weights.dtype)
    return (weights @ is_empty).squeeze(-1)


def _only_valid(valid: Bool[Tensor, "batch length"]) -> Float[Tensor, "batch length places"]:
    """Return which place each position of `hide_invalid` comes from."""
    return hide_invalid(_each_itself(valid), valid)


def _repeated(valid: Bool[Tensor, "batch length"]) -> Float[Tensor, "batch length places"]:
    """Return which place each position of `repeat_last_valid` comes from."""
    return repeat_last_valid(_each_itself(valid), valid)


def _each_itself(valid: Bool[Tensor, "batch length"]) -> Float[Tensor, "batch length places"]:
    batch, length = valid.shape
    return torch.eye(length, device=valid.device).expand(batch, -1, -1)


def _origin(
    resampling: TokenResampling, places: Float[Tensor, "batch length places"]
) -> Float[Tensor, "batch num_tokens places"]:
    """Share of each place in each token: sums to 1, or is 0 where there is nothing at all."""
    if isinstance(resampling.over_time, nn.Linear):
        # batch, length, places -> batch, num_tokens, places
        places = resampling.over_time.weight.abs().to(places.dtype) @ places
    total = places.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, places / total, 0.0)


def _to_numpy(weights: Tensor) -> Float[np.ndarray, "*shape"]:
    return weights.float().cpu().numpy()
