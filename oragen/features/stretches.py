"""Windows of one clip -> long stretches to encode, and the frames of them that each window is.

A stretch is encoded with some sound on both sides, whose frames are not kept. All frames lie on one
grid: frame n of a clip begins at its sample `n * step`, so stretches meet without a seam.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Json, Span


class Grid(NamedTuple):
    """The audio frames of an encoder, in samples."""

    step: int  # from one frame to the next
    reach: int  # what one frame is made of

    def count(self, num_samples: int) -> int:
        """Return how many frames so many samples give."""
        return max(0, (num_samples - self.reach) // self.step + 1)


@dataclass(frozen=True)
class Stretching:
    """How long stretches are, in frames."""

    length: int
    context: int  # on each side
    grid: Grid

    @classmethod
    def from_seconds(cls, stretch_s: float, context_s: float, grid: Grid) -> "Stretching":
        """Return whole frames, at least one."""
        frames_a_second = SAMPLE_RATE_HZ / grid.step
        length = max(1, round(stretch_s * frames_a_second))
        return cls(length, round(context_s * frames_a_second), grid)

    @classmethod
    def from_json(cls, saved: Mapping[str, Json], grid: Grid) -> "Stretching":
        """Return it as `as_json` wrote it."""
        return cls(saved["frames"], saved["context_frames"], grid)

    def as_json(self) -> dict[str, Json]:
        """Return what rows depend on, as it goes into keys, parts and head.json."""
        return {"frames": self.length, "context_frames": self.context}


class Stretch(NamedTuple):
    """Frames of a clip that are encoded together and stored as one row."""

    frames: Span  # of the clip
    sound: Span  # what they are encoded from, with context
    num_before: int  # frames of the context before them

    @property
    def kept(self) -> slice:
        """The frames to keep of all that the sound gives."""
        return slice(self.num_before, self.num_before + self.frames.stop - self.frames.start)


class View(NamedTuple):
    """The frames of a window: so many from `first` of a stretch on, if need be into the next."""

    stretch: int
    first: int
    num_frames: int

    def goes_on(self, stretches: Sequence[Stretch]) -> bool:
        """Whether it reaches into the next stretch."""
        frames = stretches[self.stretch].frames
        return self.first + self.num_frames > frames.stop - frames.start

    def take(self, rows: Sequence[np.ndarray]) -> Float[np.ndarray, "frames width"]:
        """Take its frames out of the rows of all stretches."""
        whole = np.concatenate(rows[self.stretch : self.stretch + 2])
        return whole[self.first : self.first + self.num_frames]


def cut_stretches(
    windows: Sequence[Span], num_samples: int, stretching: Stretching
) -> tuple[list[Stretch], list[View]]:
    """Cover the windows of a clip with stretches, no frame twice.

    Windows between which no more sound lies than the context of both have their stretches in
    common, with the pause. A window has as many frames as alone. They begin at most half a step
    (10 ms) beside it, or a whole one where the clip ends with it.

    Args:
        windows: with speech, in any order.
        num_samples: of the whole clip.
        stretching: a stretch is at least as long as a window, so that two hold it.

    Returns:
        the stretches in order, and the view of each window.
    """
    frames = [_find_frames(window, num_samples, stretching.grid) for window in windows]
    stretches = [
        _surround(Span(start, min(start + stretching.length, region.stop)), num_samples, stretching)
        for region in _join(frames, gap=2 * stretching.context)
        for start in range(region.start, region.stop, stretching.length)
    ]
    starts = [stretch.frames.start for stretch in stretches]
    return stretches, [_view(of_window, starts) for of_window in frames]


def _find_frames(window: Span, num_samples: int, grid: Grid) -> Span:
    """Return the nearest frames of the clip; at least one."""
    count = max(1, grid.count(window.stop - window.start))
    nearest = (window.start + grid.step // 2) // grid.step
    first = max(0, min(nearest, grid.count(num_samples) - count))
    return Span(first, first + count)


def _join(frames: Sequence[Span], *, gap: int) -> list[Span]:
    """Join what overlaps, or has no more frames between than the gap."""
    joined: list[Span] = []
    for span in sorted(frames):
        if joined and span.start <= joined[-1].stop + gap:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return joined


def _surround(frames: Span, num_samples: int, stretching: Stretching) -> Stretch:
    step, reach = stretching.grid
    first = max(0, frames.start - stretching.context)
    last = frames.stop - 1 + stretching.context
    sound = Span(first * step, min(last * step + reach, num_samples))
    return Stretch(frames, sound, frames.start - first)


def _view(frames: Span, starts: Sequence[int]) -> View:
    stretch = bisect_right(starts, frames.start) - 1
    return View(stretch, frames.start - starts[stretch], frames.stop - frames.start)
