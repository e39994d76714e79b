"""Speech spans and crops of one clip -> windows of fixed length with a slot a second."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from oragen.schema.choices.windows import WindowRule
from oragen.schema.vocabulary import NO_CROP, SAMPLE_RATE_HZ, Span, count_samples


@dataclass(frozen=True)
class WindowOptions:
    """How a clip is cut, in samples."""

    rule: WindowRule  # which overlaps of windows and speech count
    length: int
    hop: int  # from one window to the next
    min_length: int  # of a piece of speech

    @classmethod
    def from_seconds(
        cls, *, rule: WindowRule, length_s: float, hop_s: float, min_length_s: float
    ) -> "WindowOptions":
        """Return the options as params.yaml and a head's description name them."""
        return cls(rule, count_samples(length_s), count_samples(hop_s), count_samples(min_length_s))


@dataclass(frozen=True)
class Window:
    """The unit a head predicts on: a span of a clip, and a crop (or NO_CROP) for each slot."""

    span: Span
    has_speech: bool
    crops: list[int]


def slide(whole: Span, *, length: int, hop: int, min_length: int) -> Iterator[Span]:
    """Yield windows that cover the whole; the last may be shorter.

    A whole of up to `length` is one window, however short. Otherwise a last window under
    `min_length` is skipped, as in the published `slice_audio`.
    """
    for start in range(whole.start, whole.stop, hop):
        stop = min(start + length, whole.stop)
        if start == whole.start or stop - start >= min_length:
            yield Span(start, stop)
        if start + length >= whole.stop:
            return


def every_overlap(
    windows: Sequence[Span], speech: Sequence[Span], *, min_length: int
) -> list[Span]:
    """Intersect every window with every speech span; keep pieces of `min_length` or more."""
    pieces = [
        Span(max(window.start, spoken.start), min(window.stop, spoken.stop))
        for window in windows
        for spoken in speech
    ]
    return [piece for piece in pieces if piece.stop - piece.start >= min_length]


def paper_overlaps(
    windows: Sequence[Span], speech: Sequence[Span], *, min_length: int
) -> list[Span]:
    """Intersect windows with speech spans as the published `find_intersections` does.

    Its two pointers assume disjoint intervals. Windows overlap, so it misses pieces. Kept to
    reproduce the published training set.
    """
    pieces: list[Span] = []
    window_index = speech_index = 0
    while window_index < len(windows) and speech_index < len(speech):
        window, spoken = windows[window_index], speech[speech_index]
        piece = Span(max(window.start, spoken.start), min(window.stop, spoken.stop))
        if piece.stop - piece.start >= min_length:
            pieces.append(piece)
        if window.stop < spoken.stop:
            window_index += 1
        else:
            speech_index += 1
    return pieces


def join_pieces(windows: Sequence[Span], speech: Sequence[Span], *, min_length: int) -> list[Span]:
    """Return the stretch of each window from its first to its last speech, pauses included.

    For a clip whose pieces of speech are all shorter than `min_length`, but add up to it. Joined
    pieces may be shorter too where the pauses are long; then the longest of them are returned.
    """
    if sum(spoken.stop - spoken.start for spoken in speech) < min_length:
        return []
    pieces = [every_overlap([window], speech, min_length=1) for window in windows]
    joined = [Span(inside[0].start, inside[-1].stop) for inside in pieces if inside]
    shortest = min(min_length, max((span.stop - span.start for span in joined), default=0))
    return [span for span in joined if span.stop - span.start >= shortest]


def fill_slots(span: Span, crop_at_second: Mapping[int, int], *, num_slots: int) -> list[int]:
    """Return the crop of each whole second inside the span; NO_CROP where there is none.

    There is one crop at the start of every second of the clip, so a span of `num_slots` seconds
    holds at most that many.
    """
    first = -(-span.start // SAMPLE_RATE_HZ)
    seconds = [first + slot for slot in range(num_slots)]
    return [
        crop_at_second.get(second, NO_CROP) if second * SAMPLE_RATE_HZ < span.stop else NO_CROP
        for second in seconds
    ]


def cut_windows(
    num_samples: int,
    speech: Sequence[Span],
    crop_samples: Sequence[int],
    *,
    options: WindowOptions,
    is_still: bool = False,
) -> list[Window]:
    """One clip's speech and crops -> its windows, by start.

    A clip with speech has windows of speech. A clip without speech, but with a face, is cut
    without regard to the audio; its windows are marked as having no speech. A clip with neither
    has no window.

    Pieces of speech shorter than the minimum do not count. Only a clip that would have no window at
    all has windows of joined pieces, see `join_pieces`; the rule `paper` never joins.

    A still picture shows the face of all speech: its crop is in the first slot of every window
    with speech. Without speech only the first window holds it: more would repeat it.

    Args:
        num_samples: length of the audio, or 0.
        speech: disjoint spans in order.
        crop_samples: when each crop was taken, at whole seconds.
        options: how to cut.
        is_still: the first crop is of a still picture, which holds for the whole clip.
    """
    crop_at_second = {sample // SAMPLE_RATE_HZ: crop for crop, sample in enumerate(crop_samples)}
    num_slots = -(-options.length // SAMPLE_RATE_HZ)
    sliding = list(_slide(Span(0, num_samples), options))
    still = [0 if crop_samples else NO_CROP] + [NO_CROP] * (num_slots - 1)
    held = still if is_still else None

    def with_speech(pieces: list[Span]) -> list[Window]:
        return [
            Window(piece, True, held or fill_slots(piece, crop_at_second, num_slots=num_slots))
            for piece in sorted(set(pieces))
        ]

    if pieces := _overlaps(options.rule, sliding, speech, options.min_length):
        return with_speech(pieces)
    end_of_crops = max(crop_samples, default=-SAMPLE_RATE_HZ) + SAMPLE_RATE_HZ
    whole = Span(0, max(num_samples, end_of_crops))
    silent = [
        Window(span, False, fill_slots(span, crop_at_second, num_slots=num_slots))
        for span in _slide(whole, options)
    ]
    if windows := [window for window in silent if set(window.crops) != {NO_CROP}]:
        return windows
    if options.rule == "paper":
        return []
    return with_speech(join_pieces(sliding, speech, min_length=options.min_length))


def cut_whole_windows(
    num_samples: int, speech: Sequence[Span], crop_samples: Sequence[int], *, options: WindowOptions
) -> list[Window]:
    """One clip -> windows over all of it, as the inference of chimera_ml cuts it.

    Silence is kept. A window has speech if a span of speech overlaps or touches it. A clip without
    sound is cut along its crops; one with neither speech nor a face has no window.
    """
    if not speech and not crop_samples:
        return []
    crop_at_second = {sample // SAMPLE_RATE_HZ: crop for crop, sample in enumerate(crop_samples)}
    num_slots = -(-options.length // SAMPLE_RATE_HZ)
    whole = Span(0, num_samples or max(crop_samples) + SAMPLE_RATE_HZ)
    return [
        Window(
            span,
            any(max(span.start, spoken.start) <= min(span.stop, spoken.stop) for spoken in speech),
            fill_slots(span, crop_at_second, num_slots=num_slots),
        )
        for span in _slide(whole, options)
    ]


def _slide(whole: Span, options: WindowOptions) -> Iterator[Span]:
    return slide(whole, length=options.length, hop=options.hop, min_length=options.min_length)


def _overlaps(
    rule: WindowRule, windows: Sequence[Span], speech: Sequence[Span], min_length: int
) -> list[Span]:
    match rule:
        case "every_overlap":
            return every_overlap(windows, speech, min_length=min_length)
        case "paper":
            return paper_overlaps(windows, speech, min_length=min_length)
        case _:
            assert_never(rule)
