"""Features too large for memory -> batches, read part by part through a shuffle buffer.

Windows that need the same parts come together, so each part is read about once an epoch; a buffer
mixes the windows of several parts. Threads read the next parts while the present ones are used.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float16, Int64
from torch import Tensor

from oragen.features import FeatureRows
from oragen.schema import Modality

NUM_READERS: Final = 2
NONE: Final = -1  # no row: no speech in a window, no crop in a slot
Item = TypeVar("Item")


class WindowFeatures(NamedTuple):
    """Features of some windows; zeros where there are none."""

    windows: Int64[Tensor, " batch"]
    audio: Float16[Tensor, "batch steps audio_width"]
    face: Float16[Tensor, "batch slots layers face_width"]


class PartName(NamedTuple):
    """A part of one modality."""

    modality: Modality
    number: int


class Block(NamedTuple):
    """Windows that need the same parts."""

    parts: tuple[PartName, ...]
    windows: Int64[np.ndarray, " windows"]


@dataclass(frozen=True)
class Source:
    """One modality: its rows, and which of them each window needs; NONE = none."""

    rows: FeatureRows
    row_of: Int64[np.ndarray, "windows slots"]

    def parts_of_windows(self) -> Int64[np.ndarray, "windows slots"]:
        """Return the number of the part behind each slot, or NONE."""
        return np.where(self.row_of == NONE, NONE, self.rows.part_of[self.row_of])

    def gather(
        self, windows: Int64[np.ndarray, " chosen"], parts: Mapping[int, np.ndarray]
    ) -> Float16[np.ndarray, "chosen slots positions width"]:
        """Take the rows of some windows out of the parts that hold them."""
        rows = self.row_of[windows]
        taken = np.zeros((*rows.shape, *self.rows.shape), np.float16)
        part_of = np.where(rows == NONE, NONE, self.rows.part_of[rows])
        for number, values in parts.items():
            own = part_of == number
            taken[own] = values[self.rows.place_of[rows[own]]]
        return taken


def plan_blocks(sources: Mapping[Modality, Source]) -> list[Block]:
    """Group windows by the parts that they need; blocks of one part follow each other."""
    needed = {modality: source.parts_of_windows() for modality, source in sources.items()}
    groups: dict[tuple[PartName, ...], list[int]] = {}
    for window in range(len(next(iter(needed.values())))):
        names = {
            PartName(modality, int(number))
            for modality, numbers in needed.items()
            for number in numbers[window]
            if number != NONE
        }
        groups.setdefault(tuple(sorted(names)), []).append(window)
    return [Block(parts, np.array(windows)) for parts, windows in sorted(groups.items())]


def stream_windows(
    sources: Mapping[Modality, Source],
    blocks: Sequence[Block],
    *,
    batch_size: int,
    max_bytes: int,
    generator: torch.Generator | None = None,
) -> Iterator[WindowFeatures]:
    """Yield all windows once, in batches.

    Args:
        sources: `audio` and `face`.
        blocks: from `plan_blocks`.
        batch_size: windows a batch.
        max_bytes: half of it for the buffer, half for parts; more where a batch, or the parts that
            one block needs and the next ones, do not fit into that.
        generator: shuffles; without one the windows come block by block.
    """
    if generator is not None:
        blocks = _shuffle(blocks, generator)
    window_bytes = sum(
        source.rows.num_bytes // max(1, len(source.rows)) * source.row_of.shape[1]
        for source in sources.values()
    )
    capacity = batch_size if generator is None else max(batch_size, max_bytes // 2 // window_bytes)
    buffer = _Buffer(sources, min(capacity, sum(len(block.windows) for block in blocks)))
    with _PartCache(sources, max_bytes // 2) as cache:
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            parts = cache.get(block.parts, following.parts if following else ())
            remaining = block.windows
            while len(remaining):
                remaining = buffer.fill(remaining, parts)
                if buffer.is_full:
                    yield buffer.take(batch_size, generator)
        while not buffer.is_empty:
            yield buffer.take(batch_size, generator)


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield what an iterator gives, while a thread gets the next one."""
    with ThreadPoolExecutor(1) as executor:
        ahead = executor.submit(next, items, None)
        while (item := ahead.result()) is not None:
            ahead = executor.submit(next, items, None)
            yield item


def _shuffle(blocks: Sequence[Block], generator: torch.Generator) -> list[Block]:
    """Turn over the order of parts and of windows.

    Blocks of one part stay together, and first those of the modality that has fewer parts, because
    each of them goes with several of the other.
    """
    names = sorted({*chain.from_iterable(block.parts for block in blocks)})
    num_parts = Counter(name.modality for name in names)
    order = torch.randperm(len(names), generator=generator).tolist()
    rank_of = {
        name: (num_parts[name.modality], place) for name, place in zip(names, order, strict=True)
    }
    ordered = sorted(blocks, key=lambda block: sorted(rank_of[name] for name in block.parts))
    return [
        Block(parts, windows[torch.randperm(len(windows), generator=generator).numpy()])
        for parts, windows in ordered
    ]


class _Buffer:
    """Places for the features of some windows."""

    def __init__(self, sources: Mapping[Modality, Source], capacity: int) -> None:
        self._sources = sources
        self._values = {
            modality: np.zeros((capacity, source.row_of.shape[1], *source.rows.shape), np.float16)
            for modality, source in sources.items()
        }
        self._windows = np.full(capacity, NONE)
        self._free = list(range(capacity))
        self._used: list[int] = []

    @property
    def is_full(self) -> bool:
        return not self._free

    @property
    def is_empty(self) -> bool:
        return not self._used

    def fill(
        self, windows: Int64[np.ndarray, " windows"], parts: Mapping[PartName, np.ndarray]
    ) -> Int64[np.ndarray, " rest"]:
        """Take in as many windows as there is room for; return the others."""
        fitting = windows[: len(self._free)]
        places, self._free = self._free[: len(fitting)], self._free[len(fitting) :]
        for modality, source in self._sources.items():
            own = {name.number: values for name, values in parts.items() if name[0] == modality}
            self._values[modality][places] = source.gather(fitting, own)
        self._windows[places] = fitting
        self._used += places
        return windows[len(fitting) :]

    def take(self, batch_size: int, generator: torch.Generator | None) -> WindowFeatures:
        """Give some windows away: any, or without a generator the first ones."""
        order = list(range(len(self._used)))
        if generator is not None:
            order = torch.randperm(len(order), generator=generator).tolist()
        places = [self._used[number] for number in order[:batch_size]]
        self._used = [self._used[number] for number in order[batch_size:]]
        self._free += places
        taken = {name: torch.from_numpy(values[places]) for name, values in self._values.items()}
        windows = torch.from_numpy(self._windows[places])
        return WindowFeatures(windows, taken["audio"][:, 0], taken["face"])


class _PartCache:
    """Parts in memory and parts being read; those not used for the longest time leave first."""

    def __init__(self, sources: Mapping[Modality, Source], max_bytes: int) -> None:
        self._sources = sources
        self._max_bytes = max_bytes
        self._reading: OrderedDict[PartName, Future[np.ndarray]] = OrderedDict()
        self._executor = ThreadPoolExecutor(NUM_READERS)

    def __enter__(self) -> "_PartCache":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def get(
        self, needed: Collection[PartName], next_ones: Collection[PartName]
    ) -> dict[PartName, np.ndarray]:
        """Return parts, and begin to read those that are needed next."""
        for name in (*needed, *next_ones):
            if name not in self._reading:
                read = partial(self._sources[name.modality].rows.read_part, name.number)
                self._reading[name] = self._executor.submit(read)
            self._reading.move_to_end(name)
        found = {name: self._reading[name].result() for name in needed}
        self._drop({*needed, *next_ones})
        return found

    def _drop(self, kept: Collection[PartName]) -> None:
        sizes = {
            name: future.result().nbytes for name, future in self._reading.items() if future.done()
        }
        for name in [name for name in sizes if name not in kept]:
            if sum(sizes.values()) <= self._max_bytes:
                break
            del self._reading[name], sizes[name]
