"""Spans and crops of a clip -> windows: the published numbers, and cases worked out by hand."""

import random
from collections.abc import Callable, Sequence

import pytest

from oragen.detection.windows import (
    Window,
    WindowOptions,
    cut_windows,
    every_overlap,
    fill_slots,
    join_pieces,
    paper_overlaps,
    slide,
)
from oragen.schema.choices.windows import WindowRule
from oragen.schema.vocabulary import NO_CROP, Span
from tests.golden import read_json

SECOND = 16_000
LENGTH, HOP, MIN_LENGTH = 4 * SECOND, 2 * SECOND, SECOND
Overlaps = Callable[..., list[Span]]


def to_spans(pairs: Sequence[Sequence[int]]) -> list[Span]:
    return [Span(*pair) for pair in pairs]


def cut(
    num_samples: int,
    speech: Sequence[Span],
    crop_samples: Sequence[int] = (),
    *,
    rule: WindowRule = "every_overlap",
    hop: int = HOP,
    is_still: bool = False,
) -> list[Window]:
    return cut_windows(
        num_samples,
        speech,
        crop_samples,
        options=WindowOptions(rule, LENGTH, hop, MIN_LENGTH),
        is_still=is_still,
    )


def test_windows_slide_as_published_but_nothing_gives_none() -> None:
    cases = read_json("functions")["slice_audio"]
    assert len(cases) > 40
    for case in cases:
        whole = Span(case["start_time"], case["end_time"])
        found = slide(
            whole,
            length=case["win_max_length"],
            hop=case["win_shift"],
            min_length=case["win_min_length"],
        )
        expected = to_spans(case["result"]) if whole.stop > whole.start else []
        assert list(found) == expected, case


@pytest.mark.parametrize(
    ("overlaps", "published"), [(paper_overlaps, "result"), (every_overlap, "all_pairs")]
)
def test_overlaps_are_those_of_the_published_function(overlaps: Overlaps, published: str) -> None:
    cases = read_json("functions")["find_intersections"]
    assert len(cases) > 50
    for case in cases:
        found = overlaps(to_spans(case["x"]), to_spans(case["y"]), min_length=case["min_length"])
        assert sorted(found) == sorted(to_spans(case[published])), case


@pytest.mark.parametrize(("rule", "published"), [("paper", "peer"), ("every_overlap", "all_pairs")])
def test_windows_of_real_clips_are_the_published_pieces(rule: WindowRule, published: str) -> None:
    clips = read_json("sample_clips_vad")["clips"]
    assert len(clips) >= 12
    for name, clip in clips.items():
        whole = Span(0, clip["samples"])
        sliding = list(slide(whole, length=LENGTH, hop=HOP, min_length=MIN_LENGTH))
        assert sliding == to_spans(clip["windows"]), name
        found = cut(clip["samples"], to_spans(clip["vad"]), rule=rule)
        assert [window.span for window in found] == sorted(set(to_spans(clip[published]))), name
        assert all(window.has_speech for window in found)


def test_slots_are_the_published_pictures() -> None:
    """Published are the whole seconds in (start, stop]; a half-open span has [start, stop)."""
    every_second = {second: second for second in range(20)}
    rows = read_json("functions")["window_frames"]["rows"]
    assert len(rows) == 9
    for row in rows:
        span = Span(row["start"] + 1, row["end"] + 1)
        crops = fill_slots(span, every_second, num_slots=4)
        assert [crop for crop in crops if crop != NO_CROP] == row["frame_numbers"], row
        assert len(crops) == 4


def test_slots_are_those_of_the_published_inference() -> None:
    cases = read_json("functions")["inference_windows"]["rows"]
    steady = [
        case
        for case in cases
        if case["fps"] == 1.0 and all(time == int(time) for time in case["face_timestamps"])
    ]
    assert len(steady) > 1
    for case in steady:
        at_second = {int(time): crop for crop, time in enumerate(case["face_timestamps"])}
        for window in case["windows"]:
            published = [NO_CROP if slot is None else slot for slot in window["face_slots"]]
            span = Span(window["start"], window["end"])
            found = fill_slots(span, at_second, num_slots=4)
            assert found == published, (case["name"], window)


def test_an_image_is_one_window_of_a_second_without_speech() -> None:
    assert cut(0, [], [0]) == [Window(Span(0, SECOND), False, [0, NO_CROP, NO_CROP, NO_CROP])]


def test_a_silent_clip_with_a_face_is_cut_without_regard_to_sound() -> None:
    crops = [second * SECOND for second in range(6)]
    assert cut(6 * SECOND, [], crops) == [
        Window(Span(0, 4 * SECOND), False, [0, 1, 2, 3]),
        Window(Span(2 * SECOND, 6 * SECOND), False, [2, 3, 4, 5]),
    ]


def test_windows_of_a_silent_clip_without_a_face_in_them_are_left_out() -> None:
    found = cut(8 * SECOND, [], [6 * SECOND])
    assert found == [Window(Span(4 * SECOND, 8 * SECOND), False, [NO_CROP, NO_CROP, 0, NO_CROP])]


def test_speech_that_is_too_short_counts_as_silence() -> None:
    speech = [Span(0, SECOND - 1)]
    assert cut(2 * SECOND, speech) == []
    assert cut(2 * SECOND, speech, [SECOND]) == [
        Window(Span(0, 2 * SECOND), False, [NO_CROP, 0, NO_CROP, NO_CROP])
    ]


def test_speech_of_just_the_minimum_is_a_window() -> None:
    assert [window.span for window in cut(2 * SECOND, [Span(5, SECOND + 5)])] == [
        Span(5, SECOND + 5)
    ]


def test_a_piece_inside_one_second_has_no_crop() -> None:
    crops = [second * SECOND for second in range(4)]
    speech = [Span(SECOND + 100, 2 * SECOND)]
    options = WindowOptions("every_overlap", LENGTH, HOP, min_length=1_000)
    found = cut_windows(4 * SECOND, speech, crops, options=options)
    assert found == [Window(Span(SECOND + 100, 2 * SECOND), True, [NO_CROP] * 4)]


def test_a_picture_at_the_start_of_a_piece_is_in_it_and_one_at_its_end_is_not() -> None:
    crops = [second * SECOND for second in range(4)]
    found = cut(4 * SECOND, [Span(SECOND, 3 * SECOND)], crops)
    assert found == [Window(Span(SECOND, 3 * SECOND), True, [1, 2, NO_CROP, NO_CROP])]


def test_a_piece_that_two_windows_give_is_one_window() -> None:
    """Windows 0..4 s and 2..6 s both hold the speech from 2.5 to 3.5 s."""
    speech = [Span(40_000, 56_000)]
    sliding = [Span(0, LENGTH), Span(HOP, 6 * SECOND)]
    assert every_overlap(sliding, speech, min_length=MIN_LENGTH) == [speech[0], speech[0]]
    assert [window.span for window in cut(6 * SECOND, speech)] == speech


def test_windows_without_overlap_share_no_sample() -> None:
    spans = [window.span for window in cut(10 * SECOND, [Span(0, 10 * SECOND)], hop=LENGTH)]
    assert spans == [
        Span(0, 4 * SECOND),
        Span(4 * SECOND, 8 * SECOND),
        Span(8 * SECOND, 10 * SECOND),
    ]


def test_windows_come_in_the_order_of_time() -> None:
    speech = [Span(0, 3 * SECOND), Span(5 * SECOND, 9 * SECOND)]
    spans = [window.span for window in cut(9 * SECOND, speech)]
    assert spans == sorted(spans)
    assert len(spans) > 3


def test_pictures_that_outlast_the_sound_leave_its_windows_alone() -> None:
    """With 0.1 s more of pictures a third window, from 4 s on, would cut the speech once more."""
    speech = [Span(0, 6 * SECOND)]
    pictures = [second * SECOND for second in range(7)]
    with_pictures = [window.span for window in cut(6 * SECOND, speech, pictures)]
    assert with_pictures == [Span(0, 4 * SECOND), Span(2 * SECOND, 6 * SECOND)]


def test_a_longer_last_slot_counts_where_the_length_is_no_whole_second() -> None:
    crops = [second * SECOND for second in range(4)]
    options = WindowOptions("paper", length=40_000, hop=40_000, min_length=1)
    found = cut_windows(40_000, [Span(0, 40_000)], crops, options=options)
    assert found == [Window(Span(0, 40_000), True, [0, 1, 2])]


def test_a_still_picture_is_in_the_first_slot_of_all_speech() -> None:
    """Speech from 1.5 to 7 s: neither of its windows begins at second 0, where the picture is."""
    speech = [Span(24_000, 7 * SECOND)]
    found = cut(8 * SECOND, speech, [0], is_still=True)
    first = [0, NO_CROP, NO_CROP, NO_CROP]
    assert found == [
        Window(Span(24_000, 4 * SECOND), True, first),
        Window(Span(2 * SECOND, 6 * SECOND), True, first),
        Window(Span(4 * SECOND, 7 * SECOND), True, first),
    ]
    as_video = cut(8 * SECOND, speech, [0])
    assert [window.span for window in as_video] == [window.span for window in found]
    assert all(window.crops == [NO_CROP] * 4 for window in as_video)


def test_a_still_picture_without_a_face_leaves_every_slot_empty() -> None:
    found = cut(3 * SECOND, [Span(0, 3 * SECOND)], [], is_still=True)
    assert found == [Window(Span(0, 3 * SECOND), True, [NO_CROP] * 4)]


def test_a_still_picture_beside_silence_is_one_window() -> None:
    first = [0, NO_CROP, NO_CROP, NO_CROP]
    assert cut(9 * SECOND, [], [0], is_still=True) == [Window(Span(0, 4 * SECOND), False, first)]
    assert cut(0, [], [0], is_still=True) == [Window(Span(0, SECOND), False, first)]


def test_a_clip_with_neither_has_no_window() -> None:
    assert cut(5 * SECOND, []) == []
    assert cut(0, []) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_paper_rule_finds_some_of_the_overlaps_and_no_other(seed: int) -> None:
    draw = random.Random(seed)
    edges = sorted(draw.sample(range(20 * SECOND), 12))
    speech = to_spans([edges[i : i + 2] for i in range(0, 12, 2)])
    every = [window.span for window in cut(20 * SECOND, speech)]
    paper = [window.span for window in cut(20 * SECOND, speech, rule="paper")]
    assert set(paper) <= set(every)
    assert all(span.stop - span.start >= MIN_LENGTH for span in every)
    assert all(any(s.start <= span.start and span.stop <= s.stop for s in speech) for span in every)


WORDS = [Span(second * SECOND, second * SECOND + 12_800) for second in range(4)]  # 0.8 s each


def test_short_pieces_of_speech_are_joined_in_a_clip_that_has_no_other() -> None:
    """3.2 s of speech in four pieces of 0.8 s; the second window holds the last two."""
    assert [window.span for window in cut(5 * SECOND, WORDS)] == [
        Span(0, 3 * SECOND + 12_800),
        Span(2 * SECOND, 3 * SECOND + 12_800),
    ]
    assert all(window.has_speech for window in cut(5 * SECOND, WORDS))


def test_the_shortest_piece_goes_down_where_the_pauses_are_long() -> None:
    """Two pieces of 0.75 s, five seconds apart: no window holds both."""
    speech = [Span(0, 12_000), Span(5 * SECOND, 5 * SECOND + 12_000)]
    assert [window.span for window in cut(6 * SECOND, speech)] == speech


def test_speech_of_less_than_the_minimum_in_all_is_not_joined() -> None:
    assert cut(5 * SECOND, [Span(0, 7_999), Span(SECOND, SECOND + 8_000)]) == []
    assert join_pieces([], [Span(0, 5 * SECOND)], min_length=SECOND) == []


def test_a_clip_that_has_windows_joins_nothing() -> None:
    long = Span(5 * SECOND, 6 * SECOND)
    assert {window.span for window in cut(7 * SECOND, [*WORDS, long])} == {long}
    crops = [second * SECOND for second in range(4)]
    assert not any(window.has_speech for window in cut(5 * SECOND, WORDS, crops))


def test_the_paper_rule_joins_nothing() -> None:
    assert cut(5 * SECOND, WORDS, rule="paper") == []


@pytest.mark.parametrize("seed", range(20))
def test_joined_pieces_begin_and_end_with_speech_inside_a_window(seed: int) -> None:
    draw = random.Random(seed)
    starts = sorted(draw.sample(range(0, 20 * SECOND, SECOND), 8))
    speech = [Span(start, start + draw.randint(4_000, 15_000)) for start in starts]
    found = [window.span for window in cut(20 * SECOND, speech)]
    assert found
    assert all(span.stop - span.start <= LENGTH for span in found)
    for edge in (span.start for span in found):
        assert any(spoken.start <= edge < spoken.stop for spoken in speech)
