"""A unimodal model and examples -> the model at its best epoch, and its history."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from oragen.finetuning.checkpoints import Progress, read_checkpoint, write_checkpoint
from oragen.finetuning.examples import (
    Draw,
    ExampleBatch,
    Examples,
    draw_batches,
    order_of_epoch,
    share_of_rank,
    stream_batches,
)
from oragen.finetuning.learner import Learner, freeze_idle, keep_all_layers
from oragen.finetuning.lora import find_unreached
from oragen.schema.errors import UserError
from oragen.training.devices import refuse_disagreement
from oragen.training.history import ClassWeights, DivergedError, Epoch, score_epoch, weigh_classes
from oragen.training.losses import TaskWeights
from oragen.training.scoring import WindowPredictions, group_predictions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinetuningOptions:
    """How a unimodal model is trained."""

    batch_size: int  # of all devices together
    accumulate_batches: int  # batches for one step of the optimizer
    max_epochs: int
    patience: int  # epochs without a better dev score before training stops
    learning_rate: float
    weight_decay: float
    gradient_clip: float
    balance_classes: bool  # weigh classes by inverse frequency
    task_weights: TaskWeights
    checkpoint_minutes: float  # between checkpoints: the work that a kill may cost
    num_workers: int  # processes that prepare batches, for each device; 0 = none


def finetune(
    fabric: Fabric,
    model: nn.Module,
    train: Examples,
    dev: Examples,
    options: FinetuningOptions,
    *,
    genders: Sequence[str],
    seed: int,
    checkpoint: Path,
    identity: str,
) -> list[Epoch]:
    """Train with AdamW until the dev score stops growing; load the best epoch's weights.

    The batches of a step, and the devices' shares of a batch, are weighted by their examples. Two
    values are of one device's share of a batch: the concordance of ages, and the mean of
    cross-entropies that are weighted by class or have unknown labels.

    The order of examples, their augmentation and dropout follow from `seed`, epoch and batch. So a
    killed and resumed training has the same result.

    Args:
        fabric: launched, see `oragen.training.devices.make_fabric`.
        model: of `oragen.models.unimodal`. Weights that require no gradient are not trained.
        train: examples to learn from.
        dev: examples of other speakers, to select the epoch by.
        options: how.
        genders: the model's labels in order.
        seed: of the order and of dropout.
        checkpoint: file for the state of the training; the caller removes it when the result is
            safe.
        identity: hash of all that the result depends on; a checkpoint of another one is ignored.

    Raises:
        DivergedError: the loss or its gradient is not finite.
        DisagreementError: other processes train something else, or from another place on.
        UserError: there is nothing to learn, or nothing to select by.
    """
    _refuse_unusable(train, dev, options.task_weights)
    learner = _make_learner(fabric, model, train, options, num_genders=len(genders), seed=seed)
    checkpoints = _Checkpoints(fabric, checkpoint, f"{identity}-{fabric.world_size}", options)
    progress = checkpoints.resume(learner)
    refuse_disagreement(fabric, (identity, progress.place))
    num_batches, num_dev_batches = (_count_batches(fabric, part, options) for part in (train, dev))
    batches = _stream_train(fabric, train, options, seed, progress)
    dev_batches = _stream_dev(fabric, dev, options)
    bar = tqdm(
        unit="batch",
        total=options.max_epochs * num_batches,
        initial=(progress.epoch - 1) * num_batches + progress.batch,
        disable=not fabric.is_global_zero,
    )
    while not _is_finished(progress, options):
        while progress.batch < num_batches:
            size = min(options.accumulate_batches, num_batches - progress.batch)
            _learn_step(learner, list(islice(batches, size)), progress, options)
            bar.update(size)
            bar.set_postfix(
                epoch=progress.epoch,
                loss=f"{progress.train_loss:.3f}",
                best=f"{progress.best_score:.3f}",
            )
            checkpoints.write_if_due(learner, progress)
        of_examples = learner.predict(islice(dev_batches, num_dev_batches), num_examples=len(dev))
        _refuse_not_finite(of_examples, progress, options)
        predictions = group_predictions(dev.table["clip_id"], of_examples, genders=genders)
        scored = score_epoch(
            progress.epoch,
            progress.train_loss,
            predictions,
            dev.table,
            options.task_weights.tasks,
        )
        progress.end_epoch(scored, model.state_dict())
        checkpoints.write_if_due(learner, progress)
    bar.close()
    model.load_state_dict(progress.best_weights)
    model.eval()
    logger.info("best dev score %.3f in epoch %d", progress.best_score, progress.best_epoch)
    return progress.history


class _Checkpoints:
    """Writes the state of a training to a file now and then, from one process."""

    def __init__(
        self, fabric: Fabric, path: Path, identity: str, options: FinetuningOptions
    ) -> None:
        self._path = path
        self._identity = identity
        self._is_writer = fabric.is_global_zero
        self._interval_s = 60 * options.checkpoint_minutes
        self._written_at = time.monotonic()

    def resume(self, learner: Learner) -> Progress:
        found = read_checkpoint(self._path, identity=self._identity)
        if found is None:
            return Progress()
        learner.restore(found)
        logger.info("resumed in epoch %d after %d batches", *found.progress.place)
        return found.progress

    def write_if_due(self, learner: Learner, progress: Progress) -> None:
        if self._is_writer and time.monotonic() - self._written_at >= self._interval_s:
            write_checkpoint(self._path, learner.checkpoint(progress), identity=self._identity)
            self._written_at = time.monotonic()


def _report_idle(idle: Sequence[str]) -> None:
    if idle:
        logger.info("%d weights reach no output and are not trained, e.g. %s", len(idle), idle[0])
    if unreached := find_unreached(idle):
        logger.warning(
            "LoRA does not reach %d linear maps of this encoder, e.g. %s; they stay as they were",
            len(unreached),
            unreached[0],
        )


def _make_learner(
    fabric: Fabric,
    model: nn.Module,
    train: Examples,
    options: FinetuningOptions,
    *,
    num_genders: int,
    seed: int,
) -> Learner:
    keep_all_layers(model)
    one_example = train.collate([train[Draw(0, 0)]])
    idle = freeze_idle(fabric.to_device(model), fabric.to_device(one_example))
    _report_idle(idle)
    weights = ClassWeights(None, None)
    if options.balance_classes:
        weights = weigh_classes(
            train.gender, train.mask_type, num_genders=num_genders, device=fabric.device
        )
    return Learner(
        fabric,
        model,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        gradient_clip=options.gradient_clip,
        task_weights=options.task_weights,
        class_weights=weights,
        seed=seed,
    )


def _learn_step(
    learner: Learner,
    batches: Sequence[ExampleBatch],
    progress: Progress,
    options: FinetuningOptions,
) -> None:
    loss = learner.learn(batches, epoch=progress.epoch, first_batch=progress.batch)
    if not math.isfinite(loss):
        raise DivergedError(
            f"The fine-tuning diverged in epoch {progress.epoch}: its loss or gradient is not "
            f"finite. Lower its learning_rate ({options.learning_rate:g})."
        )
    progress.count_step(loss, [len(batch.places) for batch in batches])


def _refuse_not_finite(
    predictions: WindowPredictions, progress: Progress, options: FinetuningOptions
) -> None:
    if not all(np.isfinite(values).all() for values in predictions if values is not None):
        raise DivergedError(
            f"The fine-tuning diverged in epoch {progress.epoch}: its predictions are not finite. "
            f"Lower its learning_rate ({options.learning_rate:g})."
        )


def _is_finished(progress: Progress, options: FinetuningOptions) -> bool:
    num_done = progress.epoch - 1
    return num_done >= options.max_epochs or num_done - progress.best_epoch >= options.patience


def _stream_train(
    fabric: Fabric, train: Examples, options: FinetuningOptions, seed: int, progress: Progress
) -> Iterator[ExampleBatch]:
    """Yield this device's shares of the remaining batches, one epoch after the other."""
    first_epoch, first_batch = progress.place

    def draw() -> Iterator[list[Draw]]:
        for epoch in range(first_epoch, options.max_epochs + 1):
            order = order_of_epoch(len(train), seed=seed, epoch=epoch)
            drawn = _draw_share(fabric, order, options, epoch=epoch)
            yield from islice(drawn, first_batch if epoch == first_epoch else 0, None)

    return _stream(fabric, train, draw(), options)


def _stream_dev(
    fabric: Fabric, dev: Examples, options: FinetuningOptions
) -> Iterator[ExampleBatch]:
    """Yield this device's shares of the dev batches, again and again."""

    def draw() -> Iterator[list[Draw]]:
        while True:
            yield from _draw_share(fabric, torch.arange(len(dev)), options, epoch=0)

    return _stream(fabric, dev, draw(), options)


def _draw_share(
    fabric: Fabric, order: Int64[Tensor, " examples"], options: FinetuningOptions, *, epoch: int
) -> Iterator[list[Draw]]:
    share = share_of_rank(order, rank=fabric.global_rank, num_ranks=fabric.world_size)
    return draw_batches(share, epoch=epoch, batch_size=_share_of_batch(fabric, options))


def _stream(
    fabric: Fabric, examples: Examples, draws: Iterator[list[Draw]], options: FinetuningOptions
) -> Iterator[ExampleBatch]:
    pin_memory = fabric.device.type == "cuda"
    return stream_batches(examples, draws, num_workers=options.num_workers, pin_memory=pin_memory)


def _count_batches(fabric: Fabric, examples: Examples, options: FinetuningOptions) -> int:
    num_share = math.ceil(len(examples) / fabric.world_size)
    return math.ceil(num_share / _share_of_batch(fabric, options))


def _share_of_batch(fabric: Fabric, options: FinetuningOptions) -> int:
    return math.ceil(options.batch_size / fabric.world_size)


def _refuse_unusable(train: Examples, dev: Examples, task_weights: TaskWeights) -> None:
    """Refuse examples without anything to learn, before days are spent on them."""
    for examples, split in ((train, "train"), (dev, "dev")):
        if not len(examples):
            raise UserError(
                f"There is no example of the split `{split}` to fine-tune with. Check the `split` "
                "column of its corpora, and data/skipped for what was skipped."
            )
    weight_of = {
        "gender": task_weights.gender,
        "age_years": task_weights.age,
        "mask_type": task_weights.mask_type,
    }
    dev_labels = [labels for task, labels in dev.labels().items() if weight_of[task]]
    if not any(len(labels) > 1 for labels in dev_labels):
        raise UserError(
            "No dev example has a label to select by. Label some clips of the split `dev`, with "
            "two classes or two ages at least."
        )
    labels_of = {task: labels for task, labels in train.labels().items() if weight_of[task]}
    if not any(labels_of.values()):
        raise UserError(
            f"None of the {len(train)} examples to learn from has a label of a task that counts "
            f"({', '.join(labels_of) or 'all weights are 0'}). Label some clips of the split "
            "`train`."
        )
    for task, labels in labels_of.items():
        if len(labels) == 1 and not (task == "mask_type" and train.preparation.adds_mask_types):
            raise UserError(
                f"All examples to learn from have the {task} {labels[0]}, expected others, too. "
                "Add corpora with other labels, or set the weight of this task to 0."
            )
