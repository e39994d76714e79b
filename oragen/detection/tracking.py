"""Faces of consecutive pictures -> the main face in each."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from oragen.detection.face_detectors import Box

_Track: TypeAlias = dict[int, Box]  # number of the picture -> where the face is in it


def track_main_face(
    boxes_by_picture: Sequence[Sequence[Box]], *, max_move: float = 1.0, max_gap: int = 2
) -> list[Box | None]:
    """Faces of consecutive pictures -> the main face in each, None where it is not found.

    Detections are linked into tracks; the main track has the greatest sum of score x side, which
    is its length x mean score x size. So neither one large false detection nor a passer-by wins.
    A face that comes back where it left counts as the same, however long it was away.

    Args:
        boxes_by_picture: faces of each picture, in order of time.
        max_move: how far a face may go, or grow, from one detection to the next: the distance of
            the centres in mean sides, plus the absolute logarithm of the ratio of the sides.
        max_gap: up to this many missed pictures between two detections are filled by linear
            interpolation, as boxes of score 0 without landmarks; longer gaps stay None.
    """
    tracks = _link(boxes_by_picture, max_move)
    main = max(tracks, key=_prominence, default={})
    _fill_gaps(main, max_gap)
    return [main.get(picture) for picture in range(len(boxes_by_picture))]


def _link(boxes_by_picture: Sequence[Sequence[Box]], max_move: float) -> list[_Track]:
    """Grow tracks picture by picture; the closest pair of track and box is joined first."""
    tracks: list[_Track] = []
    for picture, boxes in enumerate(boxes_by_picture):
        sized = [box for box in boxes if box.side > 0]
        moves = [
            (_move(track[max(track)], box), t, b)
            for t, track in enumerate(tracks)
            for b, box in enumerate(sized)
        ]
        taken: set[int] = set()
        for move, t, b in sorted(moves):
            if move <= max_move and b not in taken and picture not in tracks[t]:
                tracks[t][picture] = sized[b]
                taken.add(b)
        tracks += [{picture: box} for b, box in enumerate(sized) if b not in taken]
    return tracks


def _move(a: Box, b: Box) -> float:
    between = math.dist(
        ((a.x1 + a.x2) / 2, (a.y1 + a.y2) / 2), ((b.x1 + b.x2) / 2, (b.y1 + b.y2) / 2)
    )
    return between / ((a.side + b.side) / 2) + abs(math.log(a.side / b.side))


def _prominence(track: _Track) -> float:
    return sum(box.score * box.side for box in track.values())


def _fill_gaps(track: _Track, max_gap: int) -> None:
    for before, after in pairwise(sorted(track)):
        if after - before - 1 <= max_gap:
            for picture in range(before + 1, after):
                share = (picture - before) / (after - before)
                track[picture] = _between(track[before], track[after], share)


def _between(a: Box, b: Box, share: float) -> Box:
    x1, y1, x2, y2 = ((1 - share) * p + share * q for p, q in zip(a[:4], b[:4], strict=True))
    return Box(x1, y1, x2, y2, 0.0)
