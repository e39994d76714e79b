"""The state of a training <-> a file, from which a killed training is resumed."""

import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from oragen.models.finite import find_not_finite
from oragen.models.torch_files import read_torch_file
from oragen.schema.files import atomic_write, remove_leftovers
from oragen.training.history import Epoch

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a training is. `batch` is the first batch of `epoch` that is not trained yet."""

    epoch: int = 1
    batch: int = 0
    loss_sum: float = 0.0  # over the examples of this epoch
    num_examples: int = 0
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = float("-inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and batch to resume with."""
        return self.epoch, self.batch

    @property
    def train_loss(self) -> float:
        """Mean over the examples of this epoch so far."""
        return self.loss_sum / self.num_examples

    def count_step(self, loss: float, batch_sizes: Sequence[int]) -> None:
        """Count the batches and the loss of one step."""
        self.batch += len(batch_sizes)
        self.loss_sum += loss * sum(batch_sizes)
        self.num_examples += sum(batch_sizes)

    def end_epoch(self, scored: Epoch, weights: Mapping[str, Tensor]) -> None:
        """Record the scores of an epoch, copy its weights if it is the best, begin the next."""
        if scored.dev_score > self.best_score:
            self.best_epoch, self.best_score = scored.epoch, scored.dev_score
            self.best_weights = {
                name: weight.detach().cpu().clone() for name, weight in weights.items()
            }
        self.history.append(scored)
        self.epoch += 1
        self.batch, self.loss_sum, self.num_examples = 0, 0.0, 0


class Checkpoint(NamedTuple):
    """Everything that a training is resumed from; plain containers of tensors and numbers."""

    progress: Progress
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    precision: dict[str, Any]  # of the gradient scaler


def write_checkpoint(path: Path, checkpoint: Checkpoint, *, identity: str) -> None:
    """Replace the file in one step; a kill leaves the old file or the new one."""
    progress = vars(checkpoint.progress)
    history = [epoch._asdict() for epoch in checkpoint.progress.history]
    content = checkpoint._asdict() | {
        "identity": identity,
        "progress": progress | {"history": history},
    }
    remove_leftovers(path)
    with atomic_write(path, flush=True) as unfinished, unfinished.open("wb") as file:
        torch.save(content, file)


def read_checkpoint(path: Path, *, identity: str) -> Checkpoint | None:
    """Read a checkpoint; None if there is none of this identity.

    A file that cannot be read is logged as a warning, and the training starts over.
    """
    if not path.exists():
        return None
    try:
        content = read_torch_file(path)
        found = content.pop("identity")
        progress = content.pop("progress")
        history = [Epoch(**line) for line in progress.pop("history")]
        checkpoint = Checkpoint(Progress(**progress, history=history), **content)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, LookupError, TypeError,
            ValueError, AttributeError) as error:  # fmt: skip
        first_line = str(error).partition("\n")[0]
        logger.warning("%s cannot be read (%s): training starts over.", path, first_line)
        return None
    if found != identity:
        logger.info("%s is of another training: this one starts from the beginning.", path)
        return None
    for weights in (checkpoint.weights, checkpoint.progress.best_weights):
        if name := find_not_finite(weights):
            logger.warning("%s has infinite numbers in %s: training starts over.", path, name)
            return None
    return checkpoint
