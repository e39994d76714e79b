"""Labels of windows -> how often each is drawn in training."""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from oragen.schema.choices.sampling import Balanced

AGE_BAND_YEARS = 10


def weigh_windows(table: pd.DataFrame, by: Sequence[Balanced]) -> Float[Tensor, " windows"]:
    """Weigh windows so that the classes of each criterion are drawn equally often.

    Windows without a label keep their share. The weights of several criteria are multiplied: each
    criterion is met if they are independent, and nearly met otherwise.

    Args:
        table: of the windows, with `corpus` and labels.
        by: the criteria; ages count by decade.

    Returns:
        weights with mean 1; without a criterion all are 1.
    """
    weights = pd.Series(1.0, index=table.index)
    for criterion in by:
        classes = _classes_of(table, criterion)
        counts = classes.map(classes.value_counts())
        known = classes.notna()
        weights[known] *= known.sum() / (classes.nunique() * counts[known])
    return torch.tensor((weights / weights.mean()).to_numpy(), dtype=torch.float32)


def _classes_of(table: pd.DataFrame, criterion: Balanced) -> pd.Series:
    return table["age_years"] // AGE_BAND_YEARS if criterion == "age" else table[criterion]
