"""Tokens of one modality, tokens of the other -> the first, informed by the second."""

from typing import Final

from jaxtyping import Float
from torch import Tensor, nn

from oragen.models.layers.attention import MultiHeadAttention


class CrossModalAttention(nn.Module):
    """One direction of Multi-Task Cross-Modal Attention (ORAGEN, 10.1016/j.eswa.2025.127473).

    Normalised queries attend to the normalised context; a two-layer perceptron refines the
    result. There is no residual from the queries: a caller that wants one adds it.

    Args:
        query_width: size of a query token.
        context_width: size of a context token.
        width: size of an output token.
        mlp_width: size inside the perceptron.
        num_heads: attention heads.
        project_inputs: put a linear layer before the attention. Without it all three widths must
            be the same.
        dropout: probability, inside the perceptron.
    """

    def __init__(
        self,
        *,
        query_width: int,
        context_width: int,
        width: int,
        mlp_width: int,
        num_heads: int,
        project_inputs: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        if not project_inputs and {query_width, context_width} != {width}:
            raise ValueError(
                f"Without a projection queries ({query_width}) and context ({context_width}) must "
                f"have the output's width ({width})."
            )
        self.query = _normalised(query_width, width, project=project_inputs)
        self.key = _normalised(context_width, width, project=project_inputs)
        self.value = _normalised(context_width, width, project=project_inputs)
        self.attention = MultiHeadAttention(width, num_heads)
        self.refine: Final = nn.Sequential(
            nn.Linear(width, mlp_width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.LayerNorm(mlp_width),
            nn.Linear(mlp_width, width),
            nn.GELU(),
            nn.Dropout(dropout),
        )

    def forward(
        self,
        queries: Float[Tensor, "batch query query_width"],
        context: Float[Tensor, "batch context context_width"],
    ) -> Float[Tensor, "batch query width"]:
        attended = self.attention(self.query(queries), self.key(context), self.value(context))
        return attended + self.refine(attended)  # type: ignore[no-any-return]


def _normalised(width_in: int, width_out: int, *, project: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.LayerNorm(width_in)]
    if project:
        layers.append(nn.Linear(width_in, width_out))
    return nn.Sequential(*layers)
