"""Stretches of parts that rows of features are made of -> how much of each part they need."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64


class Pieces(NamedTuple):
    """A piece of a part for each row."""

    part_of: Int64[np.ndarray, " rows"]  # -1: the row has no such piece
    start_of: Int64[np.ndarray, " rows"]
    num_positions: Int64[np.ndarray, " rows"]


def count_positions(pieces: Pieces, *, num_parts: int) -> Int64[np.ndarray, " parts"]:
    """Count the positions of each part that some piece has; pieces may overlap."""
    part_of, start_of, num_positions = (
        column[np.flatnonzero(pieces.num_positions)] for column in pieces
    )
    order = np.lexsort((start_of, part_of))
    part_of, start_of, stop_of = part_of[order], start_of[order], (start_of + num_positions)[order]
    apart = part_of * (stop_of.max(initial=0) + 1)  # so that no piece reaches into another part
    covered = np.append(0, np.maximum.accumulate(apart + stop_of))[:-1]
    new = np.maximum(apart + stop_of - np.maximum(apart + start_of, covered), 0)
    counts: np.ndarray = np.bincount(part_of, new, num_parts).astype(np.int64)
    return counts
