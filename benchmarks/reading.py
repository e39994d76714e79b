"""Features on the disk -> windows per second that are read for training, without a model.

The published way is a DataLoader over pickles. The upper bound is a float16 numpy memmap, read in
the same order. Everything is in the page cache.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch.utils.data import DataLoader

from benchmarks.measuring import Value, show, time_in_turns
from benchmarks.published_way import PickledWindows, default_allocator, write_pickle
from benchmarks.windows import write_dataset
from oragen.features.dataset import WindowDataset
from oragen.features.loading import load_dataset
from oragen.features.rows import FeatureRows
from oragen.schema.vocabulary import GENDERS
from stages.running import keep_freed_memory

CPU = torch.device("cpu")


def main(
    num_windows: Annotated[int, typer.Option(help="How many windows.")] = 1536,
    batch_size: Annotated[int, typer.Option(help="Windows a batch.")] = 128,
    streaming_gb: Annotated[float, typer.Option(help="Memory for streaming.")] = 0.4,
    repeats: Annotated[int, typer.Option(help="Epochs of each way, in turns.")] = 5,
) -> None:
    """Time reading an epoch, in float16 as stored and in float32 as a head takes it."""
    logging.disable(logging.INFO)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        table = write_dataset(Path(place) / "store", num_windows)
        load = partial(load_dataset, table, level="intermediate", genders=GENDERS)
        start = time.perf_counter()
        in_memory = load(memory_bytes=2**40)
        loading_s = time.perf_counter() - start
        streamed = load(memory_bytes=round(streaming_gb * 10**9))
        memmap = Memmap(Path(place), in_memory)
        pickles = write_pickles(Path(place) / "pickles", memmap, num_windows)
        epochs: dict[str, Callable[[], Iterable[object]]] = {
            "published: pickles, fp32": lambda: read_pickles(pickles, batch_size),
            "memmap, float16": lambda: memmap.read(in_memory, batch_size),
            "ours in memory, float16": lambda: read(in_memory, batch_size),
            "ours streamed, float16": lambda: read(streamed, batch_size),
            "memmap, to fp32": lambda: map(to_fp32, memmap.read(in_memory, batch_size)),
            "ours in memory, to fp32": lambda: batches(in_memory, batch_size),
            "ours streamed, to fp32": lambda: batches(streamed, batch_size),
        }
        ways = {name: lambda epoch=epoch: exhaust(epoch()) for name, epoch in epochs.items()}
        rates = {
            name: num_windows / timing.median
            for name, timing in time_in_turns(ways, repeats=repeats).items()
        }
    published = rates["published: pickles, fp32"]
    rows: list[dict[str, Value]] = [
        {
            "way": name,
            "windows/s": rate,
            "times the published": rate / published,
            "share of the memmap": rate / rates[f"memmap, {name.rpartition(', ')[2]}"]
            if name.startswith("ours") else None,
        }
        for name, rate in rates.items()
    ]  # fmt: skip
    show(
        "reading", f"Reading {num_windows} windows, batches of {batch_size}, medians of {repeats}",
        rows, windows_a_second_when_loading_into_memory=num_windows / loading_s,
    )  # fmt: skip


class Memmap:
    """The same features in two plain files of float16, a row for each window or crop."""

    def __init__(self, folder: Path, dataset: WindowDataset) -> None:
        self.audio, self.face = (
            self._write(folder / f"{modality}.bin", gather_all(rows))
            for modality, rows in (("audio", dataset.audio.rows), ("face", dataset.face.rows))
        )

    @staticmethod
    def _write(path: Path, values: np.ndarray) -> np.ndarray:
        values.tofile(path)
        return np.memmap(path, values.dtype, "r", shape=values.shape)

    def read(
        self, dataset: WindowDataset, batch_size: int
    ) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        """Read the windows of an epoch, in the order in which the dataset gives them."""
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
        for windows in order.split(batch_size):
            audio = self.audio[dataset.audio.row_of[windows.numpy()]]
            face = self.face[dataset.face.row_of[windows.numpy()]]
            yield torch.from_numpy(audio), torch.from_numpy(face)


def gather_all(rows: FeatureRows) -> np.ndarray:
    """Read all rows, in their order."""
    parts = {number: rows.read_part(number) for number in range(len(rows.parts))}
    return rows.gather(np.arange(len(rows)), parts)


def write_pickles(folder: Path, memmap: Memmap, num_windows: int) -> PickledWindows:
    """Write a compact pickle of fp32 tensors for each window; return their dataset."""
    folder.mkdir()
    for number in range(num_windows):
        face = memmap.face[number : number + 4]
        window = {
            "audio": memmap.audio[number],
            "face": face if len(face) == 4 else memmap.face[:4],
        }
        tensors = {name: torch.from_numpy(np.array(v)).float() for name, v in window.items()}
        write_pickle(folder / f"{number:06}.pickle", tensors)
    return PickledWindows(folder)


def read_pickles(pickles: PickledWindows, batch_size: int) -> Iterable[object]:
    """Read an epoch as the published code does."""
    with default_allocator():
        yield from DataLoader(pickles, batch_size, shuffle=True)


def read(dataset: WindowDataset, batch_size: int) -> Iterable[object]:
    """Read an epoch as stored."""
    return dataset.read(batch_size, torch.Generator().manual_seed(0))


def batches(dataset: WindowDataset, batch_size: int) -> Iterable[object]:
    """Read an epoch as training does."""
    return dataset.batches(batch_size, CPU, generator=torch.Generator().manual_seed(0))


def to_fp32(tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Convert to float32."""
    return [tensor.float() for tensor in tensors]


def exhaust(items: Iterable[object]) -> None:
    """Take all, keep none."""
    for _ in items:
        pass


if __name__ == "__main__":
    typer.run(main)
