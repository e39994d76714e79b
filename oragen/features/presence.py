"""Inputs and a store -> the rows of features that it has, and what it lacks; no torch is loaded."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from oragen.features.rows import find_foreign
from oragen.features.spec import FeatureSpec
from oragen.store.parts import PartStore
from oragen.store.rows import Located

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


def find_missing(
    present: Mapping[str, Located], inputs: Iterable[FeatureInput], specs: Sequence[FeatureSpec]
) -> list[Missing]:
    """Return the inputs of which a store lacks features."""
    keyed = (Missing(item, {spec: spec.key_of(item.key) for spec in specs}) for item in inputs)
    lacking = (
        Missing(item, {spec: key for spec, key in keys.items() if key not in present})
        for item, keys in keyed
    )
    return [missing for missing in lacking if missing.keys]


def find_lacking(
    store: PartStore, inputs: Iterable[FeatureInput], specs: Sequence[FeatureSpec]
) -> list[Missing]:
    """Return the inputs of which a store lacks features; it must be open for writing."""
    by_key = {item.key: item for item in inputs}
    return find_missing(find_present(store, by_key, specs), by_key.values(), specs)


def find_present(
    store: PartStore, keys: Iterable[str], specs: Sequence[FeatureSpec]
) -> dict[str, Located]:
    """Return the rows that the store has; parts with anything wrong in them are set aside."""
    wanted = {spec.key_of(key): spec for key in keys for spec in specs}
    present = store.find(wanted, mend=True)
    while foreign := find_foreign(present, wanted):
        for part in foreign:
            logger.warning("%s holds rows under the keys of other features", part)
            store.set_aside(part)
        present = store.find(wanted, mend=True)
    return present
