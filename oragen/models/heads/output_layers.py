"""Hidden vectors -> the output of a head."""

from jaxtyping import Float
from torch import Tensor, nn

from oragen.models.heads.contract import HeadSizes
from oragen.models.output import HeadOutput


class OutputLayers(nn.Module):
    """A linear layer for each task; each takes a vector of its own."""

    def __init__(self, width: int, sizes: HeadSizes) -> None:
        super().__init__()
        self.gender = nn.Linear(width, sizes.num_genders)
        self.age = nn.Linear(width, 1)
        self.mask_type = nn.Linear(width, sizes.num_mask_types) if sizes.num_mask_types else None

    def forward(
        self,
        *,
        for_gender: Float[Tensor, "batch width"],
        for_age: Float[Tensor, "batch width"],
        for_mask_type: Float[Tensor, "batch width"],
    ) -> HeadOutput:
        return HeadOutput(
            gender_logits=self.gender(for_gender),
            age_logit=self.age(for_age).squeeze(-1),  # batch, 1 -> batch
            mask_type_logits=None if self.mask_type is None else self.mask_type(for_mask_type),
        )

    def from_one(self, hidden: Float[Tensor, "batch width"]) -> HeadOutput:
        """Return the output for all tasks from one vector."""
        output: HeadOutput = self(for_gender=hidden, for_age=hidden, for_mask_type=hidden)
        return output
