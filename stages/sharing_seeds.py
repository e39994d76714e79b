"""A head and its seeds -> a file of weights for each seed, by different processes."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from oragen.config import paths
from oragen.config.params import Params
from oragen.features.dataset import WindowDataset
from oragen.launch.plans import PlannedRow
from oragen.launch.shards import Result, Share
from oragen.schema.errors import UserError
from oragen.schema.files import remove
from oragen.training.devices import choose_device
from oragen.training.seeds import (
    HeadTraining,
    TrainedHead,
    TrainingWindows,
    read_trained,
    train_to_file,
)
from stages.sharing import hash_question, refuse_strangers
from stages.train_head import STAGE, locate_windows, plan


class SeedsWork:
    """Seeds of a head -> a trained head each. Files of a killed run are used again."""

    uses_gpus = True
    unit = 1

    def __init__(self, params: Params, head: str, device: str) -> None:
        self._params = params
        self._head = head
        self._device = device
        table = paths.train_dataset(head).read_bytes()
        self.asks = hash_question(params, [head, hashlib.sha256(table).hexdigest()])
        self._folder = paths.plans() / f"seeds-{self.asks}"

    def find_groups(
        self, count_workers: Callable[[], int], share: Share | None = None
    ) -> list[list[PlannedRow]]:
        """Return the seeds that are not trained, each by itself."""
        names = [str(seed) for seed in self._params.train.seeds]
        return [
            [PlannedRow(name, f"seed {name}")]
            for place, name in enumerate(names)
            if not self._file_of(int(name)).is_file()
            and (share is None or place % share.of == share.number - 1)
        ]

    def make(self, rows: Sequence[PlannedRow]) -> Result:
        """Train a head for each of some seeds."""
        refuse_strangers([row.key for row in rows], {str(s): s for s in self._params.train.seeds})
        device = choose_device(self._device)
        for row in rows:
            path = self._file_of(int(row.key))
            train_to_file(self._training, self._windows, int(row.key), device, path)
        return Result(len(rows), tuple(self._file_of(int(row.key)).name for row in rows))

    def take(self, training: HeadTraining) -> Iterator[TrainedHead]:
        """Yield the trained heads in the order of the seeds; then remove their files."""
        for seed in self._params.train.seeds:
            yield read_trained(training, seed, self._file_of(seed))
        remove(self._folder)

    def _file_of(self, seed: int) -> Path:
        return self._folder / f"seed-{seed}.safetensors"

    @cached_property
    def _windows(self) -> TrainingWindows:
        return locate_windows(self._params, self._head).load()

    @cached_property
    def _training(self) -> HeadTraining:
        train: WindowDataset = self._windows.train
        return plan(self._params, self._head, train)


def refuse_lost_seeds(head: str, failures: Mapping[str, str]) -> None:
    """End a training whose seeds could not all be trained; those that could are kept.

    Raises:
        UserError: names the seeds.
    """
    if failures:
        reason = next(iter(failures.values()))
        seeds = ", ".join(sorted(failures, key=int))
        raise UserError(
            f"{STAGE} {head}: the seeds {seeds} could not be trained ({reason}). The "
            "others are kept: put that right and run `dvc repro` again."
        )
