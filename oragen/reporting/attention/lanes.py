"""Attention maps of a clip's windows -> lanes over its time, for each query and modality."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from oragen.reporting.attention.maps import TASK_QUERIES, AttentionMap, AttentionMaps
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Modality, Span


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


def lay_on_time(
    maps: AttentionMaps,
    spans: Sequence[Span],
    audio_valid: Bool[np.ndarray, "windows steps"],
    face_valid: Bool[np.ndarray, "windows slots"],
) -> list[AttentionLane]:
    """Maps of a clip's windows -> lanes over its time, one for each query and modality.

    The valid audio frames of a window share its time evenly. A slot is a second, counted from the
    first whole one, as `fill_slots` fills them. Queries that are tokens stand for no task of their
    own: they are one lane, their mean. A modality that a map never looks at has no lane.
    """
    return [
        lane
        for name, attention in maps.items()
        for queries in _group_queries(name, attention)
        for lane in _lanes(attention, *queries, spans, audio_valid, face_valid)
    ]


class _Side(NamedTuple):
    modality: Modality
    by_place: Float[np.ndarray, "windows query places"]
    valid: Bool[np.ndarray, "windows places"]
    times_of: Callable[[Span, np.ndarray], np.ndarray]


def _group_queries(name: str, attention: AttentionMap) -> list[tuple[str, list[int]]]:
    if attention.queries == TASK_QUERIES:
        return [(query, [number]) for number, query in enumerate(attention.queries)]
    return [(name.replace("_", " "), list(range(len(attention.queries))))]


def _lanes(
    attention: AttentionMap,
    name: str,
    queries: list[int],
    spans: Sequence[Span],
    audio_valid: Bool[np.ndarray, "windows steps"],
    face_valid: Bool[np.ndarray, "windows slots"],
) -> Iterator[AttentionLane]:
    face = attention.face.sum(axis=3)  # windows, query, slots, layers -> windows, query, slots
    sides = (
        _Side("audio", attention.audio, audio_valid, _frame_times),
        _Side("face", face, face_valid, _slot_times),
    )
    for modality, by_place, valid, times_of in sides:
        # windows, query, places -> windows, places
        weights = by_place[:, queries].mean(axis=1)
        if not weights.any():
            continue
        cells = [
            np.stack([*times_of(span, there), _times_even(row[there])])
            for span, there, row in zip(spans, valid, weights, strict=True)
        ]
        share = float(weights.sum(axis=1).mean())
        # of each window: 3 rows, valid places -> 3 rows, cells of all windows
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
