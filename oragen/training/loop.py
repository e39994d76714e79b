"""A head, training windows, dev windows -> the head at its best epoch, and its history."""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, assert_never

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import trange

from oragen.features.dataset import Batch, WindowDataset
from oragen.features.sampling import weigh_windows
from oragen.models.heads import Head, train_only_output_layers
from oragen.models.layers import drop_modality
from oragen.schema.choices.heads import MaskTypeTraining
from oragen.schema.choices.sampling import Balanced
from oragen.schema.vocabulary import UNKNOWN_LABEL, Modality, Task
from oragen.training.devices import scales_gradients
from oragen.training.history import ClassWeights, DivergedError, Epoch, score_epoch, weigh_classes
from oragen.training.inference import modality_sets_of, predict_clips
from oragen.training.losses import Targets, TaskWeights, multi_task_loss


@dataclass(frozen=True)
class TrainingOptions:
    """How a head is trained. Tasks of weight 0 are not learned, and not selected by."""

    batch_size: int
    max_epochs: int
    patience: int  # epochs without a better dev score before training stops
    learning_rate: float
    weight_decay: float
    gradient_clip: float
    drop_modality: float  # probability that one of two modalities is hidden
    balance_classes: bool  # weigh classes by inverse frequency in the loss
    balance_sampling: tuple[Balanced, ...]  # draw windows of each class equally often
    task_weights: TaskWeights


class Phase(NamedTuple):
    """One training of a head; `only_output_layers` freezes all but those of these tasks."""

    task_weights: TaskWeights
    only_output_layers: tuple[Task, ...] = ()


def plan_phases(mask_type: MaskTypeTraining, weights: TaskWeights) -> list[Phase]:
    """Return the trainings, one after the other, in which a head learns the tasks."""
    without_mask_type = Phase(replace(weights, mask_type=0.0))
    match mask_type:
        case "together":
            return [Phase(weights)]
        case "none":
            return [without_mask_type]
        case "afterwards":
            only = TaskWeights(gender=0.0, age=0.0, mask_type=weights.mask_type)
            return [without_mask_type, Phase(only, ("mask_type",))]
        case "afterwards_with_new_output_layers":
            return [without_mask_type, Phase(weights, ("gender", "mask_type", "age"))]
        case _:
            assert_never(mask_type)


def train_in_phases(
    fabric: Fabric,
    head: Head,
    train: WindowDataset,
    dev: WindowDataset | None,
    options: TrainingOptions,
    *,
    mask_type: MaskTypeTraining,
    genders: Sequence[str],
    seed: int,
    line: int | None = None,
) -> list[list[Epoch]]:
    """Train a head, see `train_head`; return the history of each phase of `mask_type`."""
    histories = []
    for phase in plan_phases(mask_type, options.task_weights):
        if phase.only_output_layers:
            train_only_output_layers(head, phase.only_output_layers)
        of_phase = replace(options, task_weights=phase.task_weights)
        histories.append(
            train_head(fabric, head, train, dev, of_phase, genders=genders, seed=seed, line=line)
        )
    return histories


def train_head(
    fabric: Fabric,
    head: Head,
    train: WindowDataset,
    dev: WindowDataset | None,
    options: TrainingOptions,
    *,
    genders: Sequence[str],
    seed: int,
    line: int | None = None,
) -> list[Epoch]:
    """Train with AdamW until the dev score stops growing; load the best epoch's weights.

    Without dev windows, all `max_epochs` are trained and the last one counts.

    Args:
        fabric: the device to train on.
        head: with fresh weights.
        train: windows to learn from.
        dev: windows of other speakers, to select the epoch by; or None.
        options: how.
        genders: the head's labels in order.
        seed: of the order of windows and of hidden modalities.
        line: of its progress bar, where several processes show one.

    Raises:
        DivergedError: the loss or its gradient is not finite.
        UserError: no dev clip has a label to select by.
    """
    trained = [weights for weights in head.parameters() if weights.requires_grad]
    is_whole = len(trained) == len(list(head.parameters()))
    model, optimizer = fabric.setup(head, make_optimizer(fabric, trained, options))
    weights = ClassWeights(None, None)
    if options.balance_classes:
        weights = weigh_classes(
            train.gender, train.mask_type, num_genders=len(genders), device=fabric.device
        )
    generator = torch.Generator().manual_seed(seed)
    balanced = options.balance_sampling
    shares = weigh_windows(train.table, balanced) if balanced else None
    history: list[Epoch] = []
    best = copy.deepcopy(head.state_dict())
    best_epoch, best_score = 0, float("-inf")
    progress = trange(
        1, options.max_epochs + 1, desc=f"seed {seed}", unit="epoch",
        position=line, leave=line is None,
    )  # fmt: skip
    for epoch in progress:
        model.train(is_whole)  # frozen layers have no dropout
        batches = train.batches(
            options.batch_size, fabric.device, generator=generator, weights=shares
        )
        train_loss = train_epoch(
            fabric, model, optimizer, batches, options, weights, generator, head.modality
        )
        if not math.isfinite(train_loss):
            raise DivergedError(
                f"The training of seed {seed} diverged in epoch {epoch}: its loss or gradient is "
                f"not finite. Lower train.learning_rate ({options.learning_rate:g})."
            )
        model.eval()
        if dev is None:
            history.append(Epoch(epoch, train_loss, math.nan, None, None, None))
            continue
        predictions = predict_clips(
            model, dev, genders=genders, modalities=modality_sets_of(head)[0]
        )
        if len(dev) and predictions.empty:
            raise DivergedError(
                f"The training of seed {seed} diverged in epoch {epoch}: its predictions are not "
                f"finite. Lower train.learning_rate ({options.learning_rate:g})."
            )
        tasks = options.task_weights.tasks
        history.append(score_epoch(epoch, train_loss, predictions, dev.table, tasks))
        progress.set_postfix(dev=f"{history[-1].dev_score:.3f}", best=f"{best_score:.3f}")
        if history[-1].dev_score > best_score:
            best_epoch, best_score = epoch, history[-1].dev_score
            best = copy.deepcopy(head.state_dict())
        if epoch - best_epoch >= options.patience:
            break
    if dev is not None:
        head.load_state_dict(best)
    head.eval()
    return history


def make_optimizer(
    fabric: Fabric, weights: Iterable[nn.Parameter], options: TrainingOptions
) -> torch.optim.AdamW:
    """Return AdamW; its updates are fused unless gradients are scaled."""
    return torch.optim.AdamW(
        weights,
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        fused=not scales_gradients(fabric),  # a fused one would undo the scale after the clipping
    )


def train_epoch(
    fabric: Fabric,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    options: TrainingOptions,
    weights: ClassWeights,
    generator: torch.Generator,
    modality: Modality | None = None,
) -> float:
    """Make a step for each batch; return the mean loss; NaN: a loss or gradient is not finite."""
    is_scaled = scales_gradients(fabric)
    losses = []
    for batch in batches:
        loss = _loss(model, modality, batch, weights, options, generator)
        optimizer.zero_grad()
        fabric.backward(loss)
        norm = fabric.clip_gradients(
            model, optimizer, max_norm=options.gradient_clip, error_if_nonfinite=False
        )
        optimizer.step()
        assert norm is not None  # it is where `max_norm` is given
        losses.append(loss.detach() if is_scaled else loss.detach() + 0 * norm)  # may be NaN
    return torch.stack(losses).mean().item()


def _loss(
    model: nn.Module,
    modality: Modality | None,
    batch: Batch,
    weights: ClassWeights,
    options: TrainingOptions,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    audio_valid, face_valid = batch.audio_valid, batch.face_valid
    if modality is None:
        audio_valid, face_valid = drop_modality(
            audio_valid, face_valid, probability=options.drop_modality, generator=generator
        )
    output = model(batch.audio, audio_valid, batch.face, face_valid)
    has_audio, has_face = audio_valid.any(dim=1), face_valid.any(dim=1)
    has_input = {None: has_audio | has_face, "audio": has_audio, "face": has_face}[modality]
    targets = Targets(  # a window without input has no label to learn from
        gender=batch.gender.masked_fill(~has_input, UNKNOWN_LABEL),
        mask_type=batch.mask_type.masked_fill(~has_input, UNKNOWN_LABEL),
        age_years=batch.age_years.masked_fill(~has_input, torch.nan),
    )
    return multi_task_loss(
        output,
        targets,
        task_weights=options.task_weights,
        gender_weights=weights.gender,
        mask_type_weights=weights.mask_type,
    ).total
