"""State dicts of the published fusion models -> our heads."""

from collections.abc import Mapping

from torch import Tensor

from oragen.models.heads.build import build_head
from oragen.models.heads.contract import Head
from oragen.models.heads.published_names import (
    PUBLISHED_HEADS,
    PublishedLevel,
    place,
    published_sizes,
)
from oragen.models.outline import outlining
from oragen.models.state_dict import check_state_dict


def load_published_head(
    model: str,
    level: PublishedLevel,
    published: Mapping[str, Tensor],
    *,
    std_correction: int,
) -> Head:
    """Build the head of a published state dict, with its weights, in evaluation mode.

    Args:
        model: name of the published class, a key of `PUBLISHED_HEADS`.
        level: of its features, whose sizes are fixed in the published classes.
        published: its state dict.
        std_correction: 1 for weights of markitantov/ORAGEN, 0 for those of chimera_ml; the
            state dict itself does not show.

    Raises:
        UserError: names weights that are unknown, missing or of another shape.
    """
    description = PUBLISHED_HEADS[model]
    sizes = published_sizes(description, level)
    with outlining():
        head = build_head(description.name, sizes, std_correction=std_correction)
    places = {
        name: place(description, level, name, tuple(weight.shape))
        for name, weight in head.state_dict().items()
    }
    check_state_dict(
        f"{model} at level {level}",
        published,
        expected={where.name: where.shape for where in places.values()},
        optional={},
        original_names={name: name for name in published},
        remedy="Name the model and the level as the checkpoint was made.",
    )
    # A copy, so that training the head does not change the state dict it came from.
    weights = {name: where.take(published).float().clone() for name, where in places.items()}
    head.load_state_dict(weights, assign=True)
    return head.eval()
