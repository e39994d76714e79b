"""Labels -> class weights; predictions of dev clips -> a row of the history of a training.

The training of heads and the fine-tuning of encoders share both.
"""

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from oragen.schema.errors import UserError
from oragen.schema.vocabulary import MASK_TYPES, Task
from oragen.training.losses import class_weights
from oragen.training.scoring import join_labels, score_clips, selection_score


class Epoch(NamedTuple):
    """One row of the history; scores are of the dev clips."""

    epoch: int
    train_loss: float
    dev_score: float
    gender_uar: float | None
    age_mae_years: float | None
    mask_type_uar: float | None


class DivergedError(UserError):
    """The loss or gradient of a training is not finite."""


class ClassWeights(NamedTuple):
    """A weight for each class; None = all equal."""

    gender: Float[Tensor, " genders"] | None
    mask_type: Float[Tensor, " mask_types"] | None


def weigh_classes(
    gender: Int64[Tensor, " examples"],
    mask_type: Int64[Tensor, " examples"],
    *,
    num_genders: int,
    device: torch.device,
) -> ClassWeights:
    """Weigh classes by how rare they are among the training labels."""
    return ClassWeights(
        class_weights(_count(gender, num_genders)).to(device),
        class_weights(_count(mask_type, len(MASK_TYPES))).to(device),
    )


def score_epoch(
    epoch: int,
    train_loss: float,
    predictions: pd.DataFrame,
    dev: pd.DataFrame,
    tasks: Collection[Task],
) -> Epoch:
    """Score predictions of the dev clips.

    Args:
        epoch: its number, from 1.
        train_loss: mean over the epoch.
        predictions: from `group_predictions`.
        dev: the table with the clips' labels.
        tasks: that are trained, and count in the score.
    """
    scores = score_clips(join_labels(predictions, dev))
    return Epoch(
        epoch,
        train_loss,
        selection_score(scores, tasks),
        scores["gender_uar"],
        scores["age_mae_years"],
        scores["mask_type_uar"],
    )


def _count(codes: Int64[Tensor, " examples"], num_classes: int) -> list[int]:
    return [int((codes == code).sum()) for code in range(num_classes)]
