"""Features that do not fit into memory -> features of batches of windows, part by part.

Windows that need the same parts come together, so each part is read about once an epoch. Several
parts are in memory at a time, and their windows are shuffled. A thread reads the next parts
meanwhile.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from oragen.features.rows import NONE, FeatureRows
from oragen.features.spec import STORED_TYPE
from oragen.schema.vocabulary import Modality

Item = TypeVar("Item")

_CACHED_BYTES: Final = 2**20  # of features that are converted while they are in a core's cache


class WindowFeatures(NamedTuple):
    """Features of some windows; zeros where a window has none."""

    windows: Int64[Tensor, " batch"]
    audio: Float[Tensor, "batch steps audio_width"]
    face: Float[Tensor, "batch slots layers face_width"]

    def pin(self) -> "WindowFeatures":
        """Copy them to where a GPU fetches them from while the CPU goes on."""
        return WindowFeatures(self.windows, self.audio.pin_memory(), self.face.pin_memory())


class PartName(NamedTuple):
    """A part of one modality."""

    modality: Modality
    number: int


Parts = Mapping[PartName, np.ndarray]


class Block(NamedTuple):
    """Windows, and the parts that hold all their features."""

    parts: tuple[PartName, ...]
    windows: Int64[np.ndarray, " windows"]


@dataclass(frozen=True)
class Source:
    """One modality: its rows, and which of them each window needs."""

    rows: FeatureRows
    row_of: Int64[np.ndarray, "windows ..."]  # audio: window; face: window, slot

    def parts_of(self, windows: Int64[np.ndarray, " chosen"]) -> Int64[np.ndarray, "chosen pieces"]:
        """Return the numbers of the parts that each window needs, or NONE."""
        parts = self.rows.parts_of(self.row_of[windows])  # window (, slot), piece
        return parts.reshape(len(windows), math.prod(parts.shape[1:]))

    def gather(
        self,
        windows: Int64[np.ndarray, " chosen"],
        parts: Mapping[int, np.ndarray],
        dtype: torch.dtype = torch.float16,
    ) -> Float[Tensor, "chosen ... positions width"]:
        """Take the rows of some windows out of their parts."""
        # audio: window -> window, step, width; face: window, slot -> window, slot, layer, width
        rows = self.row_of[windows]
        if dtype == torch.float16:
            return torch.from_numpy(self.rows.gather(rows, parts))
        gathered = torch.empty((*rows.shape, *self.rows.shape), dtype=dtype)
        row_bytes = math.prod((*rows.shape[1:], *self.rows.shape)) * np.dtype(STORED_TYPE).itemsize
        step = max(1, _CACHED_BYTES // row_bytes)
        for first in range(0, len(rows), step):
            some = self.rows.gather(rows[first : first + step], parts)
            gathered[first : first + step] = torch.from_numpy(some)
        return gathered


Sources = Mapping[Modality, Source]


def plan_blocks(sources: Sources) -> list[Block]:
    """Group windows by the parts that they need."""
    num_windows = len(next(iter(sources.values())).row_of)
    every_window = np.arange(num_windows)
    needed = {modality: source.parts_of(every_window) for modality, source in sources.items()}
    groups: dict[tuple[PartName, ...], list[int]] = {}
    for window in range(num_windows):
        names = {
            PartName(modality, int(number))
            for modality, numbers in needed.items()
            for number in numbers[window]
            if number != NONE
        }
        groups.setdefault(tuple(sorted(names)), []).append(window)
    return [Block(parts, np.array(windows)) for parts, windows in sorted(groups.items())]


def choose_from(blocks: Sequence[Block], windows: Int64[np.ndarray, " drawn"]) -> list[Block]:
    """Keep some windows of each block, each as often as it was drawn."""
    # windows drawn -> how often each window of the dataset is drawn
    times = np.bincount(windows, minlength=sum(len(block.windows) for block in blocks))
    chosen = [
        Block(block.parts, np.repeat(block.windows, times[block.windows])) for block in blocks
    ]
    return [block for block in chosen if len(block.windows)]


def stream_windows(
    sources: Sources,
    blocks: Sequence[Block],
    *,
    batch_size: int,
    max_bytes: int,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float16,
) -> Iterator[WindowFeatures]:
    """Yield all windows once, in batches.

    Args:
        sources: `audio` and `face`.
        blocks: from `plan_blocks`.
        batch_size: windows in a batch.
        max_bytes: a third for the parts whose windows are shuffled together, a third for the next
            parts, a third for those of windows left over. A single block may need more.
        generator: shuffles; without one the windows come block by block.
        dtype: of the features.
    """
    blocks = _shuffle(blocks, generator) if generator is not None else blocks
    rounds = _join(blocks, sources, max_bytes // 3)
    left = Block((), np.zeros(0, np.int64))
    parts: Parts = {}
    for number, (block, read) in enumerate(read_ahead(_read_rounds(sources, rounds)), start=1):
        parts = {name: parts[name] for name in left.parts} | read
        windows = np.concatenate([left.windows, block.windows])
        if generator is not None:
            windows = windows[torch.randperm(len(windows), generator=generator).numpy()]
        num_now = len(windows) if number == len(rounds) else len(windows) // batch_size * batch_size
        for start in range(0, num_now, batch_size):
            yield gather(sources, windows[start : min(start + batch_size, num_now)], parts, dtype)
        left = Block(_find_parts(sources, windows[num_now:]), windows[num_now:])


def gather(
    sources: Sources,
    windows: Int64[np.ndarray, " batch"],
    parts: Parts,
    dtype: torch.dtype = torch.float16,
) -> WindowFeatures:
    """Take the features of some windows out of their parts."""
    gathered = {
        modality: source.gather(
            windows,
            {name.number: part for name, part in parts.items() if name.modality == modality},
            dtype,
        )
        for modality, source in sources.items()
    }
    return WindowFeatures(torch.from_numpy(windows), gathered["audio"], gathered["face"])


def read_parts(sources: Sources, names: Sequence[PartName]) -> dict[PartName, np.ndarray]:
    """Map parts into memory, several at a time."""
    with ThreadPoolExecutor() as executor:
        read = executor.map(lambda name: sources[name.modality].rows.read_part(name.number), names)
        return dict(zip(names, read, strict=True))


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of an iterator, while a thread gets the next one."""
    with ThreadPoolExecutor(1) as executor:
        ahead = executor.submit(next, items, None)
        while (item := ahead.result()) is not None:
            ahead = executor.submit(next, items, None)
            yield item


def _find_parts(sources: Sources, windows: Int64[np.ndarray, " windows"]) -> tuple[PartName, ...]:
    """Return the parts that some windows need."""
    return tuple(
        PartName(modality, number)
        for modality, source in sources.items()
        for number in np.unique(source.parts_of(windows)).tolist()
        if number != NONE
    )


def _read_rounds(
    sources: Sources, rounds: Sequence[Block]
) -> Iterator[tuple[Block, dict[PartName, np.ndarray]]]:
    """Read the parts of one round after the other; those of the round before are kept."""
    read: dict[PartName, np.ndarray] = {}
    for block in rounds:
        kept = {name: read[name] for name in block.parts if name in read}
        missing = [name for name in block.parts if name not in read]
        read = kept | read_parts(sources, missing)
        yield block, read


def _join(blocks: Sequence[Block], sources: Sources, max_bytes: int) -> list[Block]:
    """Join consecutive blocks as long as their parts fit into memory."""
    bytes_of = {
        PartName(modality, number): num_bytes
        for modality, source in sources.items()
        for number, num_bytes in enumerate(source.rows.bytes_of_parts())
    }
    groups: list[list[Block]] = []
    parts: set[PartName] = set()
    for block in blocks:
        parts |= {*block.parts}
        if not groups or sum(bytes_of[name] for name in parts) > max_bytes:
            groups.append([])
            parts = {*block.parts}
        groups[-1].append(block)
    return [
        Block(
            tuple(dict.fromkeys(chain.from_iterable(block.parts for block in group))),
            np.concatenate([block.windows for block in group]),
        )
        for group in groups
    ]


def _shuffle(blocks: Sequence[Block], generator: torch.Generator) -> list[Block]:
    """Shuffle blocks by their parts.

    Blocks of one part stay together. Parts of the modality with fewer parts come first, because
    each of them shares windows with several parts of the other.
    """
    names = sorted({*chain.from_iterable(block.parts for block in blocks)})
    num_parts = Counter(name.modality for name in names)
    order = torch.randperm(len(names), generator=generator).tolist()
    rank_of = {
        name: (num_parts[name.modality], place) for name, place in zip(names, order, strict=True)
    }
    return sorted(blocks, key=lambda block: sorted(rank_of[name] for name in block.parts))
