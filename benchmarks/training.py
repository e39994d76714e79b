"""Cached features -> windows per second in whole epochs of training.

The published way is a DataLoader over pickles, AdamW and fp32, with the same head as published. The
upper bound is our own step on ready-made batches in memory.
"""

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.measuring import Row, Value, show, time_in_turns, to_row
from benchmarks.published_way import PickledWindows, default_allocator, resample_as_published
from benchmarks.reading import Memmap, write_pickles
from benchmarks.windows import AUDIO_SHAPE, FACE_SHAPE, NUM_SLOTS, write_dataset
from oragen.features.dataset import Batch, WindowDataset
from oragen.features.loading import load_dataset
from oragen.features.streaming import WindowFeatures
from oragen.models.heads import Head, HeadSizes, build_head
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, Precision
from oragen.training.devices import choose_device, make_fabric
from oragen.training.history import ClassWeights
from oragen.training.loop import TrainingOptions, make_optimizer, train_epoch
from oragen.training.losses import Targets, TaskWeights, multi_task_loss
from stages.running import keep_freed_memory

OPTIONS = TrainingOptions(
    batch_size=128,
    max_epochs=1,
    patience=1,
    learning_rate=1e-4,
    weight_decay=0.01,
    gradient_clip=1.0,
    drop_modality=0.5,
    balance_classes=False,
    balance_sampling=(),
    task_weights=TaskWeights(gender=1.0, age=1.0, mask_type=1.0),
)
SIZES = HeadSizes(
    audio_steps=AUDIO_SHAPE[0],
    audio_width=AUDIO_SHAPE[1],
    face_slots=NUM_SLOTS,
    face_layers=FACE_SHAPE[0],
    face_width=FACE_SHAPE[1],
    num_genders=len(GENDERS),
    num_mask_types=len(MASK_TYPES),
)


def main(
    num_windows: Annotated[int, typer.Option(help="How many windows.")] = 1280,
    head: Annotated[HeadName, typer.Option(help="Which head: joint is the paper's.")] = "joint",
    width: Annotated[int, typer.Option(help="Of the head; 256 as published.")] = 256,
    streaming_gb: Annotated[float, typer.Option(help="Memory for streaming.")] = 0.4,
    repeats: Annotated[int, typer.Option(help="Epochs of each way, in turns.")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Time epochs of one head, read the published way and ours."""
    logging.disable(logging.INFO)
    keep_freed_memory()
    chosen = choose_device(device)
    with tempfile.TemporaryDirectory() as place:
        table = write_dataset(Path(place) / "store", num_windows)
        load = partial(load_dataset, table, level="intermediate", genders=GENDERS)
        in_memory = load(memory_bytes=2**40)
        streamed = load(memory_bytes=round(streaming_gb * 10**9))
        memmap = Memmap(Path(place), in_memory)
        pickles = write_pickles(Path(place) / "pickles", memmap, num_windows)
        build = partial(build_head, head, SIZES, width=width)
        ways: dict[str, Callable[[], object]] = {
            "published: pickles, fp32": partial(
                train_published_way,
                resample_as_published(build()).to(chosen),
                pickles,
                in_memory,
                chosen,
            )
        }
        precisions: tuple[Precision, ...] = ("fp32", "bf16")
        for precision in precisions:
            train = Trainer(build(), chosen, precision)
            ready = list(in_memory.read(OPTIONS.batch_size, torch.Generator()))
            ways[f"ready-made batches, {precision}"] = partial(train.on_ready, ready, in_memory)
            ways[f"ours in memory, {precision}"] = partial(train.on, in_memory)
            ways[f"ours streamed, {precision}"] = partial(train.on, streamed)
        timings = time_in_turns(ways, repeats=repeats)
    rates = {name: num_windows / timing.median for name, timing in timings.items()}
    rows: list[dict[str, Value]] = [
        {
            "way": name,
            "windows/s": rate,
            "epochs/min": 60 * rate / num_windows,
            "times the published": rate / rates["published: pickles, fp32"],
            "share of ready-made": rate / rates[f"ready-made batches, {name[-4:]}"]
            if name.startswith("ours") else None,
        }
        for name, rate in rates.items()
    ]  # fmt: skip
    show(
        "training", f"Training {head}, {num_windows} windows, batches of {OPTIONS.batch_size}, "
        f"medians of {repeats}", rows, device=str(chosen), threads=torch.get_num_threads(),
    )  # fmt: skip


def time_epochs(device: torch.device, num_windows: int, *, repeats: int) -> Iterator[Row]:
    """Yield the epochs a minute of the paper's last head in bf16, from memory and streamed."""
    with tempfile.TemporaryDirectory() as place:
        load = partial(
            load_dataset,
            write_dataset(Path(place), num_windows),
            level="intermediate",
            genders=GENDERS,
        )
        train = Trainer(build_head("joint", SIZES, width=256), device, "bf16")
        ways = {
            "from memory": partial(train.on, load(memory_bytes=2**40)),
            "streamed": partial(train.on, load(memory_bytes=4 * 10**8)),
        }
        timings = time_in_turns(ways, repeats=repeats)
    for way, timing in timings.items():
        what = f"training of joint on {num_windows:,} windows, {way}"
        yield to_row(what, 60 / timing.median, "epochs/min")


class Trainer:
    """Our step, as `train_head` makes it."""

    def __init__(self, head: Head, device: torch.device, precision: Precision) -> None:
        self.fabric = make_fabric(device, precision)
        self.fabric.launch()
        self.model, self.optimizer = self.fabric.setup(
            head.train(), make_optimizer(self.fabric, head.parameters(), OPTIONS)
        )
        self.generator = torch.Generator().manual_seed(0)

    def on(self, dataset: WindowDataset) -> None:
        """Train for one epoch, as training does."""
        device, generator = self.fabric.device, torch.Generator().manual_seed(0)
        self._train(dataset.batches(OPTIONS.batch_size, device, generator=generator))

    def on_ready(self, ready: Iterable[WindowFeatures], dataset: WindowDataset) -> None:
        """Train for one epoch on batches that were gathered before."""
        self._train(dataset.label(features, self.fabric.device) for features in ready)

    def _train(self, batches: Iterable[Batch]) -> None:
        weights = ClassWeights(None, None)
        train_epoch(
            self.fabric, self.model, self.optimizer, batches, OPTIONS, weights, self.generator
        )


def train_published_way(
    head: Head, pickles: PickledWindows, dataset: WindowDataset, device: torch.device
) -> None:
    """Train for one epoch: plain AdamW, fp32, a pickle for each window."""
    with default_allocator():
        _train_published_way(head, pickles, dataset, device)


def _train_published_way(
    head: Head, pickles: PickledWindows, dataset: WindowDataset, device: torch.device
) -> None:
    optimizer = torch.optim.AdamW(head.train().parameters(), lr=1e-4, weight_decay=0.01)
    for audio, face, windows in DataLoader(pickles, OPTIONS.batch_size, shuffle=True):
        audio, face = audio.to(device), face.to(device)
        audio_valid = torch.ones(audio.shape[:2], dtype=torch.bool, device=device)
        face_valid = torch.ones(face.shape[:2], dtype=torch.bool, device=device)
        output = head(audio, audio_valid, face, face_valid)
        labels = (dataset.gender, dataset.mask_type, dataset.age_years)
        targets = Targets(*(label[windows].to(device) for label in labels))
        loss = multi_task_loss(output, targets, task_weights=OPTIONS.task_weights).total
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), OPTIONS.gradient_clip)
        optimizer.step()


if __name__ == "__main__":
    typer.run(main)
