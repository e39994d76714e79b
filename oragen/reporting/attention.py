"""A head and windows -> what its attentions looked at: which sound, which crops, or nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

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
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Modality, Span

TASK_QUERIES: Final = ("gender", "mask type", "age")  # in the order of `CrossAttentionHead.tasks`


@dataclass(frozen=True)
class AttentionMap:
    """What the queries of one attention looked at, window by window.

    `weights` are the head's own numbers, over the tokens that it makes of its inputs. The other
    three say the same of the inputs: for each window and query, `audio`, `face` and `nothing`
    together sum to 1, and what is not valid gets 0. They are means over the attention's heads.
    """

    queries: tuple[str, ...]
    weights: Float[np.ndarray, "windows num_heads query context"]
    audio: Float[np.ndarray, "windows query steps"]
    face: Float[np.ndarray, "windows query slots layers"]  # 1 layer where a token is a whole crop
    nothing: Float[np.ndarray, "windows query"]  # of a token that stands for no sound and no crop


AttentionMaps = dict[str, AttentionMap]


class AttentionLane(NamedTuple):
    """What one query looked at in one modality over the time of a clip.

    Cells are places of the clip, audio frames or crops; cells of overlapping windows overlap.
    """

    name: str
    modality: Modality
    share: float  # 0 to 1: of the query's attention, mean over the windows
    starts_s: Float[np.ndarray, " cells"]
    stops_s: Float[np.ndarray, " cells"]
    times_even: Float[np.ndarray, " cells"]  # 1: as if all cells of the window weighed the same


@torch.inference_mode()
def read_attention(
    head: Head,
    audio: Float[Tensor, "batch steps audio_width"],
    audio_valid: Bool[Tensor, "batch steps"],
    face: Float[Tensor, "batch slots layers face_width"],
    face_valid: Bool[Tensor, "batch slots"],
) -> AttentionMaps:
    """Run a head in evaluation mode and write down what its attentions weigh.

    `cross_attention` has one map, `tasks`: a query for each task over all audio frames, all layers
    of all crops and the token for nothing. It shows the third of that head's opinions; the other
    two, by summaries, have no attention.

    `shared`, `separate` and `joint` have the maps `audio_to_face` (queries are audio tokens) and
    `face_to_audio`. Their tokens are mixtures of inputs, and so the way back from `weights` is:

    - The published order of crops, the valid ones first and the last repeated, is undone exactly:
      a slot gets what all copies of its crop got. Without any crop the tokens are nothing.
    - A token that a linear map made out of many places shares its weight among the valid ones in
      proportion to the absolute weights of that map. That tells which places the map looks at; it
      does not know their signs, nor what stands there, and is no more than a hint at time.

    Other heads have no attention: an empty dict.
    """
    with _recording(head) as recorded:
        head(audio, audio_valid, face, face_valid)
    match head:
        case CrossAttentionHead():
            weights = recorded["block.attention"]
            return {"tasks": _map_tasks(weights, num_steps=audio.shape[1], face=face)}
        case MtcmaHead() | SharedTrunkHead():
            heard = _origin(head.audio_tokens, _only_valid(audio_valid))
            seen = _origin(head.face_tokens, _repeated(face_valid))
            return {
                "audio_to_face": _map_face(recorded["audio_to_face.attention"], seen, heard),
                "face_to_audio": _map_audio(recorded["face_to_audio.attention"], heard, seen),
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
    by_head = [
        rearrange(tokens, "b n (h d) -> b h n d", h=attention.num_heads)
        for tokens in (attention.to_query(queries), attention.to_key(keys))
    ]
    scores = by_head[0] @ by_head[1].mT / by_head[0].shape[-1] ** 0.5
    if context_valid is not None:
        scores = scores.masked_fill(~context_valid[:, None, None, :], -torch.inf)
    return scores.softmax(dim=-1)  # type: ignore[no-any-return]


def lay_on_time(
    maps: AttentionMaps,
    spans: Sequence[Span],
    audio_valid: Bool[np.ndarray, "windows steps"],
    face_valid: Bool[np.ndarray, "windows slots"],
) -> list[AttentionLane]:
    """Maps of a clip's windows -> lanes over its time, one for each query and modality.

    The valid audio frames of a window share its time evenly; a slot is a second from the first
    whole one on, as `fill_slots` fills them. Queries that are tokens, and so stand for no question
    of their own, are one lane: their mean. A modality that a map never looks at has no lane.
    """
    return [
        lane
        for name, found in maps.items()
        for queries in _group_queries(name, found)
        for lane in _lanes(found, *queries, spans, audio_valid, face_valid)
    ]


@contextmanager
def _recording(head: Head) -> Iterator[dict[str, Tensor]]:
    """Write down the weights of all attentions inside a head, by their names in it."""
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
    nothing, heard, seen = reduce(weights, "b h q c -> b q c", "mean").split(
        [1, num_steps, face.shape[1] * face.shape[2]], dim=-1
    )
    return AttentionMap(
        queries=TASK_QUERIES,
        weights=_to_numpy(weights),
        audio=_to_numpy(heard),
        face=_to_numpy(rearrange(seen, "b q (s l) -> b q s l", s=face.shape[1])),
        nothing=_to_numpy(nothing[..., 0]),
    )


def _map_face(
    weights: Float[Tensor, "batch num_heads query context"],
    seen: Float[Tensor, "batch context slots"],
    heard: Float[Tensor, "batch query steps"],
) -> AttentionMap:
    by_token = reduce(weights, "b h q c -> b q c", "mean")
    places = by_token @ seen
    return AttentionMap(
        queries=tuple(f"audio token {number + 1}" for number in range(weights.shape[2])),
        weights=_to_numpy(weights),
        audio=np.zeros((*places.shape[:2], heard.shape[2]), np.float32),
        face=_to_numpy(places[..., None]),
        nothing=_to_numpy(_sum_of_empty(by_token, seen)),
    )


def _map_audio(
    weights: Float[Tensor, "batch num_heads query context"],
    heard: Float[Tensor, "batch context steps"],
    seen: Float[Tensor, "batch query slots"],
) -> AttentionMap:
    by_token = reduce(weights, "b h q c -> b q c", "mean")
    places = by_token @ heard
    return AttentionMap(
        queries=tuple(f"face token {number + 1}" for number in range(weights.shape[2])),
        weights=_to_numpy(weights),
        audio=_to_numpy(places),
        face=np.zeros((*places.shape[:2], seen.shape[2], 1), np.float32),
        nothing=_to_numpy(_sum_of_empty(by_token, heard)),
    )


def _sum_of_empty(
    weights: Float[Tensor, "batch query context"], origin: Float[Tensor, "batch context places"]
) -> Float[Tensor, "batch query"]:
    """Sum up what the tokens got that no place is behind."""
    is_empty = (origin.sum(dim=-1, keepdim=True) == 0).to(weights.dtype)
    return (weights @ is_empty).squeeze(-1)


def _only_valid(valid: Bool[Tensor, "batch length"]) -> Float[Tensor, "batch length places"]:
    """Say which place each position of `hide_invalid` comes from."""
    return hide_invalid(_each_itself(valid), valid)


def _repeated(valid: Bool[Tensor, "batch length"]) -> Float[Tensor, "batch length places"]:
    """Say which place each position of `repeat_last_valid` comes from."""
    return repeat_last_valid(_each_itself(valid), valid)


def _each_itself(valid: Bool[Tensor, "batch length"]) -> Float[Tensor, "batch length places"]:
    batch, length = valid.shape
    return torch.eye(length, device=valid.device).expand(batch, -1, -1)


def _origin(
    resampling: TokenResampling, places: Float[Tensor, "batch length places"]
) -> Float[Tensor, "batch num_tokens places"]:
    """Share of each place in each token: sums to 1, or is 0 where there is nothing at all."""
    if isinstance(resampling.over_time, nn.Linear):
        places = resampling.over_time.weight.abs().to(places.dtype) @ places
    total = places.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, places / total, 0.0)


def _to_numpy(weights: Tensor) -> Float[np.ndarray, "*shape"]:
    return weights.float().cpu().numpy()


def _group_queries(name: str, found: AttentionMap) -> list[tuple[str, list[int]]]:
    if found.queries == TASK_QUERIES:
        return [(query, [number]) for number, query in enumerate(found.queries)]
    return [(name.replace("_", " "), list(range(len(found.queries))))]


class _Side(NamedTuple):
    modality: Modality
    by_place: Float[np.ndarray, "windows query places"]
    valid: Bool[np.ndarray, "windows places"]
    times_of: Callable[[Span, np.ndarray], np.ndarray]


def _lanes(
    found: AttentionMap,
    name: str,
    queries: list[int],
    spans: Sequence[Span],
    audio_valid: Bool[np.ndarray, "windows steps"],
    face_valid: Bool[np.ndarray, "windows slots"],
) -> Iterator[AttentionLane]:
    heard = _Side("audio", found.audio, audio_valid, _frame_times)
    seen = _Side("face", found.face.sum(axis=3), face_valid, _slot_times)
    for modality, by_place, valid, times_of in (heard, seen):
        weights = by_place[:, queries].mean(axis=1)
        if not weights.any():
            continue
        cells = [
            np.stack([*times_of(span, there), _times_even(row[there])])
            for span, there, row in zip(spans, valid, weights, strict=True)
        ]
        share = float(weights.sum(axis=1).mean())
        starts_s, stops_s, times_even = np.concatenate(cells, axis=1)
        yield AttentionLane(name, modality, share, starts_s, stops_s, times_even)


def _frame_times(span: Span, valid: Bool[np.ndarray, " steps"]) -> Float[np.ndarray, "2 cells"]:
    """Start and stop in seconds of each valid audio frame."""
    edges = np.linspace(span.start, span.stop, valid.sum() + 1) / SAMPLE_RATE_HZ
    return np.stack([edges[:-1], edges[1:]])


def _slot_times(span: Span, valid: Bool[np.ndarray, " slots"]) -> Float[np.ndarray, "2 cells"]:
    """Start and stop in seconds of each valid slot."""
    starts = -(-span.start // SAMPLE_RATE_HZ) + np.flatnonzero(valid).astype(float)
    return np.stack([starts, np.minimum(starts + 1, span.stop / SAMPLE_RATE_HZ)])


def _times_even(weights: Float[np.ndarray, " cells"]) -> Float[np.ndarray, " cells"]:
    total = float(weights.sum())
    return weights * len(weights) / total if total else np.zeros_like(weights)
