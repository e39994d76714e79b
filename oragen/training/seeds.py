"""A head that is described, files of windows, seeds -> a trained head for each seed.

One training alone leaves cores idle: its steps are small, and Python works between them. So on a
CPU several seeds are trained at once, each in a process of its own. The weights are the same.
"""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file

from oragen.features.dataset import WindowDataset
from oragen.features.loading import load_dataset, read_dataset
from oragen.isolation.workers import Failure, Workers
from oragen.models.heads import FrozenProbeHead, Head, HeadSizes, build_head
from oragen.schema.choices.heads import HeadName, MaskTypeTraining
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.vocabulary import Level, Precision
from oragen.training.devices import make_fabric
from oragen.training.history import Epoch
from oragen.training.loop import TrainingOptions, train_in_phases
from oragen.training.probes import fit_frozen_probe

logger = logging.getLogger(__name__)

PHASES: Final = "phases"  # in the metadata of a file of weights
# glibc then keeps what is freed, which spares a third of a step: see `keep_freed_memory`.
_ALLOCATOR: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}


@dataclass(frozen=True)
class HeadTraining:
    """A head before it has weights, and how it is trained."""

    name: HeadName
    sizes: HeadSizes
    width: int
    dropout: float
    mask_type: MaskTypeTraining
    genders: tuple[str, ...]
    options: TrainingOptions
    precision: Precision
    audio_layers: int = 1  # see `build_head`

    def build(self, seed: int) -> Head:
        """Build the head with fresh weights; the seed also decides its dropout afterwards."""
        torch.manual_seed(seed)
        return build_head(
            self.name,
            self.sizes,
            width=self.width,
            dropout=self.dropout,
            audio_layers=self.audio_layers,
        )


class TrainingWindows(NamedTuple):
    """What a head is trained on."""

    table: pd.DataFrame  # all rows to learn from, also clips without a window
    train: WindowDataset
    dev: WindowDataset | None  # to select the epoch by


@dataclass(frozen=True)
class TrainingFiles:
    """Where the windows of a training are."""

    path: Path  # of the dataset's table
    splits: tuple[str, ...]  # to learn from
    dev_splits: tuple[str, ...]  # to select by; none: the last epoch counts
    level: Level
    genders: tuple[str, ...]
    memory_bytes: int

    def load(self) -> TrainingWindows:
        """Load them, see `load_dataset`."""
        table = read_dataset(self.path, self.splits)
        train = load_dataset(
            table, level=self.level, genders=self.genders, memory_bytes=self.memory_bytes
        )
        if not self.dev_splits:
            return TrainingWindows(table, train, None)
        dev = load_dataset(
            read_dataset(self.path, self.dev_splits),
            level=self.level,
            genders=self.genders,
            memory_bytes=self.memory_bytes,
            specs=train.specs,
        )
        return TrainingWindows(table, train, dev)


class TrainedHead(NamedTuple):
    """A head at its best epoch, and the history of each phase."""

    head: Head
    phases: list[list[Epoch]]


def train_seeds(
    training: HeadTraining,
    files: TrainingFiles,
    windows: TrainingWindows,
    seeds: Sequence[int],
    *,
    device: torch.device,
    num_processes: int,
) -> Iterator[TrainedHead]:
    """Train a head for each seed; yield them in order.

    Args:
        training: the head, and how.
        files: of the windows; other processes load them from there.
        windows: of the same files, for this process.
        seeds: of the weights, the order of windows, and what is hidden.
        device: to train on; a GPU trains one head at a time.
        num_processes: how many seeds are trained at once on a CPU.

    Raises:
        DivergedError: the loss or its gradient is not finite.
        UserError: no dev clip has a label to select by.
    """
    num_at_once = min(num_processes, len(seeds)) if device.type == "cpu" else 1
    if num_at_once > 1:
        yield from _train_at_once(training, files, windows, seeds, num_at_once)
        return
    for seed in seeds:
        yield _tell(seed, _train_here(training, windows, seed, device))


def _train_at_once(
    training: HeadTraining,
    files: TrainingFiles,
    windows: TrainingWindows,
    seeds: Sequence[int],
    num_at_once: int,
) -> Iterator[TrainedHead]:
    """Train some seeds in other processes, and here the last of those that no process has begun."""
    cpu = torch.device("cpu")
    calls = [
        _Call(training, files, seed, place % (num_at_once - 1)) for place, seed in enumerate(seeds)
    ]
    with _start(num_at_once - 1) as workers:
        futures = [workers.submit(_train_there, call) for call in calls]
        trained_here = {
            place: _train_here(training, windows, seeds[place], cpu, line=num_at_once - 1)
            for place in reversed(range(len(seeds)))
            if futures[place].cancel()
        }
        for place, seed in enumerate(seeds):
            if place not in trained_here:
                made = futures[place].result()
                if isinstance(made, Failure):  # such as too little memory for several at once
                    logger.warning("seed %d: %s; it is trained again, here", seed, made.reason)
                    trained_here[place] = _train_here(training, windows, seed, cpu)
                else:
                    trained_here[place] = _unpack(training.build(seed), made)
            yield _tell(seed, trained_here[place])


class _Call(NamedTuple):
    """One seed for another process."""

    training: HeadTraining
    files: TrainingFiles
    seed: int
    line: int  # of its progress bar


class _Packed(NamedTuple):
    """A trained head on its way between processes."""

    weights: bytes  # as in a safetensors file
    phases: list[list[Epoch]]


def _start(num_workers: int) -> Workers:
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # which may change the last bits
    return Workers(
        num_workers, action="training", modules=[__name__], environment=_ALLOCATOR | threads
    )


def _train_there(call: _Call) -> _Packed:
    windows, cpu = call.files.load(), torch.device("cpu")
    head, phases = _train_here(call.training, windows, call.seed, cpu, line=call.line)
    return _Packed(save(head.state_dict()), phases)


def train_to_file(
    training: HeadTraining, windows: TrainingWindows, seed: int, device: torch.device, path: Path
) -> None:
    """Train a head for a seed, and write its weights and history to a file; see `read_trained`."""
    head, phases = _train_here(training, windows, seed, device)
    epochs = [[[*epoch] for epoch in history] for history in phases]
    weights = {name: value.cpu() for name, value in head.state_dict().items()}
    with atomic_write(path) as unfinished:
        save_file(weights, unfinished, {PHASES: json.dumps(epochs)})


def read_trained(training: HeadTraining, seed: int, path: Path) -> TrainedHead:
    """Read what `train_to_file` has written, to the bit.

    Raises:
        UserError: the file holds another head, or none.
    """
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            epochs = json.loads(file.metadata()[PHASES])
        head = training.build(seed)
        head.load_state_dict(weights)
        phases = [[Epoch(*numbers) for numbers in history] for history in epochs]
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read ({error}). Remove it, and run again.") from error
    return _tell(seed, TrainedHead(head.eval(), phases))


def _unpack(head: Head, packed: _Packed) -> TrainedHead:
    head.load_state_dict(load(packed.weights))
    return TrainedHead(head.eval(), packed.phases)


def _train_here(
    training: HeadTraining,
    windows: TrainingWindows,
    seed: int,
    device: torch.device,
    *,
    line: int | None = None,
) -> TrainedHead:
    fabric = make_fabric(device, training.precision)
    fabric.launch()
    head = training.build(seed)
    if isinstance(head, FrozenProbeHead):
        history = fit_frozen_probe(
            head, windows.train, windows.dev, training.options, genders=training.genders, seed=seed
        )
        return TrainedHead(head, [history] if history else [])
    phases = train_in_phases(
        fabric, head, windows.train, windows.dev, training.options,
        mask_type=training.mask_type, genders=training.genders, seed=seed, line=line,
    )  # fmt: skip
    return TrainedHead(head, phases)


def _tell(seed: int, trained: TrainedHead) -> TrainedHead:
    """Log the best dev scores, if there are any."""
    for history in trained.phases:
        best = max(history, key=lambda epoch: epoch.dev_score)  # the first of equal ones
        if not math.isnan(best.dev_score):
            logger.info(
                "seed %d: best dev score %.3f in epoch %d", seed, best.dev_score, best.epoch
            )
    return trained
