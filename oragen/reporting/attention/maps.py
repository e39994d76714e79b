"""The record of what one attention looked at: audio frames, crops, or nothing."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

TASK_QUERIES: Final = ("gender", "mask type", "age")  # in the order of `CrossAttentionHead.tasks`


@dataclass(frozen=True)
class AttentionMap:
    """What the queries of one attention looked at, window by window.

    `weights` are the head's own numbers, over the tokens that it makes of its inputs. The other
    three refer to the inputs: for each window and query, `audio`, `face` and `nothing` together
    sum to 1, and what is not valid gets 0. They are means over the attention's heads.
    """

    queries: tuple[str, ...]
    weights: Float[np.ndarray, "windows num_heads query context"]
    audio: Float[np.ndarray, "windows query steps"]
    face: Float[np.ndarray, "windows query slots layers"]  # 1 layer where a token is a whole crop
    nothing: Float[np.ndarray, "windows query"]  # of a token that stands for no audio and no crop


AttentionMaps = dict[str, AttentionMap]
