"""One vector -> the output of a unimodal model."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oragen.models.output import HeadOutput


class OutputLayers(nn.Module):
    """A linear layer for each task, or a perceptron where `hidden_width` is given.

    Args:
        width: size of the vector.
        num_genders: classes of gender.
        num_mask_types: classes of mask type; 0: not a task of the model.
        hidden_width: size inside the perceptrons; None: linear layers.
        dropout: probability, inside the perceptrons.
        age_as_fraction: the age layer returns age / 100 itself and not its logit, as the weights
            that audEERING released.
    """

    def __init__(
        self,
        width: int,
        *,
        num_genders: int,
        num_mask_types: int,
        hidden_width: int | None = None,
        dropout: float = 0.0,
        age_as_fraction: bool = False,
    ) -> None:
        super().__init__()
        if num_genders < 2 or num_mask_types < 0:
            raise ValueError(
                f"OutputLayers need at least 2 genders and 0 mask types, found {num_genders} and "
                f"{num_mask_types}."
            )
        self.age_as_fraction = age_as_fraction
        self.gender = _output_layer(width, hidden_width, num_genders, dropout)
        self.age = _output_layer(width, hidden_width, 1, dropout)
        self.mask_type = (
            _output_layer(width, hidden_width, num_mask_types, dropout) if num_mask_types else None
        )

    def forward(self, pooled: Float[Tensor, "batch width"]) -> HeadOutput:
        age = self.age(pooled).squeeze(-1)  # batch, 1 -> batch
        return HeadOutput(
            gender_logits=self.gender(pooled),
            age_logit=torch.logit(age.float(), eps=1e-6) if self.age_as_fraction else age,
            mask_type_logits=None if self.mask_type is None else self.mask_type(pooled),
        )


def _output_layer(
    width: int, hidden_width: int | None, num_outputs: int, dropout: float
) -> nn.Linear | nn.Sequential:
    if hidden_width is None:
        return nn.Linear(width, num_outputs)
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(width, hidden_width),
        nn.Tanh(),
        nn.Dropout(dropout),
        nn.Linear(hidden_width, num_outputs),
    )
