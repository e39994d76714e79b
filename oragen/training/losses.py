"""The output of a model and the known labels -> one number to minimise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from oragen.models.layers.pooling import safe_sqrt
from oragen.models.output import HeadOutput
from oragen.schema.vocabulary import AGE_SCALE_YEARS, UNKNOWN_LABEL, Task

CCC_EPSILON: Final = 1e-8  # keeps divisions of nothing by nothing finite


class Targets(NamedTuple):
    """Labels of a batch of windows. Unknown: `UNKNOWN_LABEL`, and NaN for the age."""

    gender: Int64[Tensor, " batch"]
    mask_type: Int64[Tensor, " batch"]
    age_years: Float[Tensor, " batch"]


@dataclass(frozen=True)
class TaskWeights:
    """How much each task counts in the total. The published training uses 1 for all."""

    gender: float = 1.0
    mask_type: float = 1.0
    age: float = 1.0

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that count."""
        weights: dict[Task, float] = {
            "gender": self.gender, "mask_type": self.mask_type, "age": self.age,
        }  # fmt: skip
        return tuple(task for task, weight in weights.items() if weight > 0)


class TaskLosses(NamedTuple):
    """The weighted sum, and the tasks' own losses before weighting (0 without a label)."""

    total: Float[Tensor, ""]
    gender: Float[Tensor, ""]
    mask_type: Float[Tensor, ""]
    age: Float[Tensor, ""]


def multi_task_loss(
    output: HeadOutput,
    targets: Targets,
    *,
    task_weights: TaskWeights | None = None,
    gender_weights: Float[Tensor, " genders"] | None = None,
    mask_type_weights: Float[Tensor, " mask_types"] | None = None,
) -> TaskLosses:
    """Cross-entropy of gender and mask type, and 1 - CCC of the age, as published.

    Unknown labels are ignored. A task without a label in the batch has loss 0 and gradient 0.

    Args:
        output: of a head or of a unimodal model.
        targets: of the same windows.
        task_weights: None: all 1.
        gender_weights: of the classes, see `class_weights`.
        mask_type_weights: likewise.
    """
    task_weights = task_weights or TaskWeights()
    gender = known_cross_entropy(output.gender_logits, targets.gender, gender_weights)
    mask_type = (
        torch.zeros_like(gender)
        if output.mask_type_logits is None
        else known_cross_entropy(output.mask_type_logits, targets.mask_type, mask_type_weights)
    )
    age = known_age_loss(output.age_logit, targets.age_years)
    total = (
        task_weights.gender * gender + task_weights.mask_type * mask_type + task_weights.age * age
    )
    return TaskLosses(total, gender, mask_type, age)


def known_cross_entropy(
    logits: Float[Tensor, "batch classes"],
    targets: Int64[Tensor, " batch"],
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy over the known labels, weighted by class; 0 without any."""
    known = targets != UNKNOWN_LABEL
    logits, targets = logits[known].float(), targets[known]
    weights = logits.new_ones(logits.shape[1]) if weights is None else weights.to(logits)
    row_weights = weights[targets]
    losses = F.cross_entropy(logits, targets, reduction="none")
    return (row_weights * losses).sum() / _or_one(row_weights.sum())


def known_age_loss(
    age_logit: Float[Tensor, " batch"], age_years: Float[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """1 - CCC of sigmoid(logit) and age / 100 over the known ages; 0 without any."""
    known = ~age_years.isnan()
    if not known.any():
        return age_logit[:0].float().sum()  # 0, but still in the graph
    return ccc_loss(torch.sigmoid(age_logit[known].float()), age_years[known] / AGE_SCALE_YEARS)


def ccc_loss(
    predicted: Float[Tensor, " batch"],
    target: Float[Tensor, " batch"],
    *,
    denominator_epsilon: float = CCC_EPSILON,
) -> Float[Tensor, ""]:
    """1 - concordance correlation coefficient (Lin 1989), of the population.

    Value and gradient equal those of both published losses where these are finite. Otherwise (one
    element, constant vectors) it is 1, and the undefined correlation has gradient 0.

    Args:
        predicted: one or more numbers.
        target: as many.
        denominator_epsilon: added to the denominator: 1e-8 in chimera_ml, 0 in markitantov/ORAGEN.
    """
    target = target.to(predicted)
    x, y = predicted - predicted.mean(), target - target.mean()
    deviations = safe_sqrt(x.square().sum()) * safe_sqrt(y.square().sum())
    covariance = (x * y).mean() * deviations / (deviations + CCC_EPSILON)
    gap = (predicted.mean() - target.mean()).square()
    denominator = x.square().mean() + y.square().mean() + gap + denominator_epsilon
    return 1 - 2 * covariance / _or_one(denominator)


def class_weights(
    counts: Sequence[int], *, rule: Literal["inverse", "paper"] = "inverse"
) -> Float[Tensor, " classes"]:
    """Return the weight of each class from its frequency in the training data.

    Args:
        counts: of each class.
        rule: `inverse` = total / (classes * count), and 1 for an unseen class, as chimera_ml;
            `paper` = count / total, as markitantov/ORAGEN, which favours the frequent class.
    """
    count = torch.tensor(counts, dtype=torch.float64)
    if rule == "paper":
        return (count / _or_one(count.sum())).float()
    is_present = count > 0
    inverse = count.sum() / (len(count) * torch.where(is_present, count, 1.0))
    return torch.where(is_present, inverse, 1.0).float()


def _or_one(number: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the number, or 1 if it is 0: something to divide by."""
    return torch.where(number == 0, torch.ones_like(number), number)
