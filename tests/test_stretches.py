"""Windows -> stretches and views, with the numbers worked out by hand; 320 samples a frame."""

import numpy as np
import pytest

from oragen.features.stretches import Grid, Stretch, Stretching, View, cut_stretches
from oragen.schema.vocabulary import Span

GRID = Grid(step=320, reach=400)
SECOND = 16_000
MINUTE = 60 * SECOND


def seconds(start: float, stop: float) -> Span:
    return Span(round(start * SECOND), round(stop * SECOND))


def make(stretch_s: float = 5.0, context_s: float = 0.5) -> Stretching:
    return Stretching.from_seconds(stretch_s, context_s, GRID)


def frames_of(views: list[View], stretches: list[Stretch]) -> list[Span]:
    """Where views are in the clip, in frames."""
    firsts = [stretches[view.stretch].frames.start + view.first for view in views]
    return [Span(first, first + view.num_frames) for first, view in zip(firsts, views, strict=True)]


def test_a_window_of_4_s_has_199_frames_and_seconds_are_50() -> None:
    assert GRID.count(4 * SECOND) == 199
    assert (make().length, make().context) == (250, 25)


def test_windows_share_the_frames_of_the_seconds_they_share() -> None:
    windows = [seconds(2, 6), seconds(4, 8), seconds(6, 10)]
    stretches, views = cut_stretches(windows, MINUTE, make(stretch_s=20.0))
    [stretch] = stretches
    assert stretch.frames == (100, 499)  # 2 s * 50; the last window begins at 300
    assert views == [(0, 0, 199), (0, 100, 199), (0, 200, 199)]
    assert stretch.sound == (75 * 320, 523 * 320 + 400)  # half a second, 25 frames, on both sides
    assert stretch.kept == slice(25, 424)


def test_a_window_may_reach_into_the_next_stretch() -> None:
    windows = [seconds(0, 4), seconds(2, 6), seconds(4, 8)]
    stretches, views = cut_stretches(windows, MINUTE, make())
    assert [stretch.frames for stretch in stretches] == [(0, 250), (250, 399)]
    assert views == [(0, 0, 199), (0, 100, 199), (0, 200, 199)]
    assert [view.goes_on(stretches) for view in views] == [False, True, True]


def test_a_view_takes_its_frames_across_both_stretches() -> None:
    first, second = np.arange(4.0)[:, None], np.arange(4.0, 7.0)[:, None]
    assert View(0, 2, 4).take([first, second]).ravel().tolist() == [2, 3, 4, 5]
    assert View(1, 1, 2).take([first, second]).ravel().tolist() == [5, 6]


def test_the_context_ends_with_the_clip() -> None:
    [stretch], _ = cut_stretches([seconds(0, 4)], 4 * SECOND, make())
    assert stretch == (Span(0, 199), Span(0, 4 * SECOND), 0)


def test_a_pause_of_no_more_than_the_context_of_both_sides_is_encoded_with_them() -> None:
    """The first window has frames up to 99, which ends with the second: 50 frames are 1 s."""
    together, _ = cut_stretches([seconds(0, 2), seconds(2.98, 5)], MINUTE, make())
    apart, _ = cut_stretches([seconds(0, 2), seconds(3, 5)], MINUTE, make())
    assert [stretch.frames for stretch in together] == [(0, 249)]
    assert [stretch.frames for stretch in apart] == [(0, 99), (150, 249)]


def test_a_window_beside_the_grid_takes_the_nearest_frames() -> None:
    windows = [Span(159, 159 + 64_000), Span(160, 160 + 64_000)]
    stretches, views = cut_stretches(windows, MINUTE, make())
    assert [span.start for span in frames_of(views, stretches)] == [0, 1]


def test_at_the_end_of_a_clip_no_frame_is_beyond_it() -> None:
    """The nearest frame begins at sample 640 and its last would end at 64,400."""
    num_samples = 64_260
    stretches, views = cut_stretches([Span(500, num_samples)], num_samples, make())
    [span] = frames_of(views, stretches)
    assert span == (1, 200)
    assert (span.stop - 1) * 320 + 400 <= num_samples


def test_a_window_shorter_than_a_frame_has_one() -> None:
    stretches, views = cut_stretches([Span(0, 300)], 16_000, make())
    assert (stretches[0].frames, views) == ((0, 1), [(0, 0, 1)])


@pytest.mark.parametrize("seed", range(20))
def test_every_window_is_whole_no_frame_is_there_twice_and_none_is_far_off(seed: int) -> None:
    random = np.random.default_rng(seed)
    num_samples = int(random.integers(5 * SECOND, MINUTE))
    starts = random.integers(0, num_samples - 8_000, 15)
    stops = np.minimum(starts + random.integers(8_000, 64_001, 15), num_samples)
    windows = [Span(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]
    stretching = make(stretch_s=float(random.uniform(4, 20)), context_s=float(random.uniform(0, 2)))
    stretches, views = cut_stretches(windows, num_samples, stretching)
    kept = [frame for stretch in stretches for frame in range(*stretch.frames)]
    assert len(kept) == len(set(kept))
    for window, view, span in zip(windows, views, frames_of(views, stretches), strict=True):
        assert view.num_frames == GRID.count(window.stop - window.start)
        assert {*range(*span)} <= {*kept}
        in_two = stretches[view.stretch : view.stretch + 2]
        assert {*range(*span)} <= {frame for each in in_two for frame in range(*each.frames)}
        most = 160 if window.stop < num_samples - 160 else 319
        assert abs(span.start * 320 - window.start) <= most
    for stretch in stretches:
        assert 0 <= stretch.sound.start < stretch.sound.stop <= num_samples
        given = GRID.count(stretch.sound.stop - stretch.sound.start)
        assert stretch.kept.stop <= given
