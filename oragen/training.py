"""A head, training windows, dev windows -> the head at its best epoch, and its history."""

import copy
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from lightning.fabric import Fabric
from torch import Tensor, nn
from tqdm import trange

from oragen.answers import join_labels, predict_clips, score_clips, selection_score
from oragen.dataset import Batch, WindowDataset
from oragen.layers import drop_modality
from oragen.losses import Targets, TaskWeights, class_weights, multi_task_loss
from oragen.schema import MASK_TYPES, UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingOptions:
    """How a head is trained."""

    batch_size: int
    max_epochs: int
    patience: int  # epochs without a better dev score before training stops
    learning_rate: float
    weight_decay: float
    gradient_clip: float
    drop_modality: float  # probability that one of two modalities is hidden
    balance_classes: bool  # weigh classes by inverse frequency
    task_weights: TaskWeights


class Epoch(NamedTuple):
    """One line of the history; scores are those of the dev clips."""

    epoch: int
    train_loss: float
    dev_score: float
    gender_uar: float | None
    age_mae_years: float | None
    mask_type_uar: float | None


class DivergedError(UserError):
    """A training that does not lead anywhere."""


class ClassWeights(NamedTuple):
    """A weight for each class; None = all alike."""

    gender: Float[Tensor, " genders"] | None
    mask_type: Float[Tensor, " mask_types"] | None


def train_head(
    fabric: Fabric,
    head: nn.Module,
    train: WindowDataset,
    dev: WindowDataset,
    options: TrainingOptions,
    *,
    genders: Sequence[str],
    seed: int,
) -> list[Epoch]:
    """Train with AdamW until the dev score stops growing; leave the best epoch's weights.

    Args:
        fabric: the device to train on.
        head: with fresh weights.
        train: windows to learn from.
        dev: windows of other speakers, to select by.
        options: how.
        genders: the head's labels in order.
        seed: of the order of windows and of what is hidden.

    Raises:
        DivergedError: when the loss or its gradient is no number any more.
        UserError: when no dev clip has a label to select by.
    """
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    model, wrapped_optimizer = fabric.setup(head, optimizer)
    weights = _class_weights(train, len(genders), options.balance_classes, fabric.device)
    generator = torch.Generator().manual_seed(seed)
    history: list[Epoch] = []
    best = copy.deepcopy(head.state_dict())
    best_epoch, best_score = 0, float("-inf")
    progress = trange(1, options.max_epochs + 1, desc=f"seed {seed}", unit="epoch")
    for epoch in progress:
        model.train()
        losses = []
        for batch in train.batches(options.batch_size, fabric.device, generator=generator):
            loss = _loss(model, batch, weights, options, generator)
            wrapped_optimizer.zero_grad()
            fabric.backward(loss)
            norm = fabric.clip_gradients(
                model, wrapped_optimizer, max_norm=options.gradient_clip, error_if_nonfinite=False
            )
            wrapped_optimizer.step()
            assert norm is not None  # it is where `max_norm` is given
            losses.append(loss.detach() + 0 * norm)  # NaN also where only the gradient is none
        train_loss = torch.stack(losses).mean().item()
        if not math.isfinite(train_loss):
            raise DivergedError(
                f"The training of seed {seed} diverged in epoch {epoch}: its loss or gradient is "
                f"no number any more. Lower train.learning_rate ({options.learning_rate:g})."
            )
        history.append(_score_epoch(epoch, train_loss, model, dev, genders))
        progress.set_postfix(dev=f"{history[-1].dev_score:.3f}", best=f"{best_score:.3f}")
        if history[-1].dev_score > best_score:
            best_epoch, best_score = epoch, history[-1].dev_score
            best = copy.deepcopy(head.state_dict())
        if epoch - best_epoch >= options.patience:
            break
    head.load_state_dict(best)
    head.eval()
    logger.info("seed %d: best dev score %.3f in epoch %d", seed, best_score, best_epoch)
    return history


def _loss(
    model: nn.Module,
    batch: Batch,
    weights: ClassWeights,
    options: TrainingOptions,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    audio_valid, face_valid = drop_modality(
        batch.audio_valid, batch.face_valid, probability=options.drop_modality, generator=generator
    )
    output = model(batch.audio, audio_valid, batch.face, face_valid)
    targets = Targets(batch.gender, batch.mask_type, batch.age_years)
    return multi_task_loss(
        output,
        targets,
        task_weights=options.task_weights,
        gender_weights=weights.gender,
        mask_type_weights=weights.mask_type,
    ).total


def _score_epoch(
    epoch: int, train_loss: float, model: nn.Module, dev: WindowDataset, genders: Sequence[str]
) -> Epoch:
    model.eval()
    predictions = predict_clips(model, dev, genders=genders)
    scores = score_clips(join_labels(predictions, dev.table))
    return Epoch(
        epoch,
        train_loss,
        selection_score(scores),
        scores["gender_uar"],
        scores["age_mae_years"],
        scores["mask_type_uar"],
    )


def _class_weights(
    train: WindowDataset, num_genders: int, balance: bool, device: torch.device
) -> ClassWeights:
    if not balance:
        return ClassWeights(None, None)
    return ClassWeights(
        class_weights(_count(train.gender, num_genders)).to(device),
        class_weights(_count(train.mask_type, len(MASK_TYPES))).to(device),
    )


def _count(codes: Int64[Tensor, " windows"], num_classes: int) -> list[int]:
    return [int((codes == code).sum()) for code in range(num_classes)]
