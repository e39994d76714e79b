"""Windows of one clip -> the sounds to encode, and the embedding of each window in theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16

from oragen.detection.windows import Window
from oragen.features.stretches import Stretching, View, cut_stretches
from oragen.predictor.clip_inputs import ClipInputs

Embedding = Float16[np.ndarray, "_ width"]


@dataclass(frozen=True)
class SoundPlan:
    """The sounds to encode for some windows with speech."""

    sounds: list[np.ndarray]
    kept: list[slice]  # the positions of the embedding of each sound that are no context
    views: list[View] | None  # of each window; None: each is a sound by itself

    def take(self, embeddings: Sequence[Embedding]) -> list[Embedding]:
        """Return the embedding of each window, once all sounds are encoded."""
        if self.views is None:
            return [*embeddings]
        rows = [row[kept] for row, kept in zip(embeddings, self.kept, strict=True)]
        return [view.take(rows) for view in self.views]


def plan_sounds(
    inputs: ClipInputs, windows: Sequence[Window], stretching: Stretching | None
) -> SoundPlan:
    """Plan the sounds of some windows of a clip, of which some have speech.

    The stretches are those of all windows of the clip, as in the pipeline.
    """
    spans = [window.span for window in windows if window.has_speech]
    if stretching is None:
        sounds = [inputs.samples[span.start : span.stop] for span in spans]
        return SoundPlan(sounds, [slice(None)] * len(sounds), None)
    spoken = [window.span for window in inputs.windows if window.has_speech]
    stretches, views = cut_stretches(spoken, len(inputs.samples), stretching)
    view_of = dict(zip(spoken, views, strict=True))
    chosen = [view_of[span] for span in spans]
    first = min(view.stretch for view in chosen)
    last = max(view.stretch + view.goes_on(stretches) for view in chosen)
    used = stretches[first : last + 1]
    return SoundPlan(
        [inputs.samples[slice(*stretch.sound)] for stretch in used],
        [stretch.kept for stretch in used],
        [view._replace(stretch=view.stretch - first) for view in chosen],
    )
