"""Inputs and a store -> the rows of features that it has, and what it lacks; no torch is loaded."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from oragen.features.rows import find_foreign
from oragen.features.spec import FeatureSpec
from oragen.store.parts import PartStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureInput:
    """The input of one row of features: its key, and how to read it."""

    key: str
    clip_id: str
    fill: float  # share of a whole row that it fills: 1 for a crop or a window of full length
    read: Callable[[], np.ndarray]
    # The positions of its embedding that are the row: not those of the context of a stretch.
    kept: slice = field(default_factory=partial(slice, None))


class Missing(NamedTuple):
    """An input, and the kinds of features that the store lacks of it, each with a row's key."""

    item: FeatureInput
    keys: Mapping[FeatureSpec, str]


def find_lacking(
    store: PartStore, inputs: Iterable[FeatureInput], specs: Sequence[FeatureSpec]
) -> list[Missing]:
    """Return the inputs of which a store lacks features; it must be open for writing.

    Parts with anything wrong in them are set aside.
    """
    items = [*{item.key: item for item in inputs}.values()]
    keys = [[spec.key_of(item.key) for item in items] for spec in specs]
    are_found = _find_present(store, keys, specs)
    return [
        Missing(
            items[at],
            {
                spec: keys[number][at]
                for number, spec in enumerate(specs)
                if not are_found[number, at]
            },
        )
        for at in np.flatnonzero(~are_found.all(axis=0)).tolist()
    ]


def _find_present(
    store: PartStore, keys: Sequence[Sequence[str]], specs: Sequence[FeatureSpec]
) -> Bool[np.ndarray, "specs inputs"]:
    """Return which rows the store has of each kind of features."""
    count = len(keys[0])
    wanted = pa.array([*chain.from_iterable(keys)], pa.string())
    while True:
        places = store.locate(wanted, mend=True)
        foreign = find_foreign(
            (part, spec)
            for number, spec in enumerate(specs)
            for part in places.take(slice(number * count, (number + 1) * count)).used
        )
        if not foreign:
            return places.are_found.reshape(len(specs), count)
        for part in foreign:
            logger.warning("%s holds rows under the keys of other features", part)
            store.set_aside(part)
