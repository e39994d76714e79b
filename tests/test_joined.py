"""Recordings joined byte by byte -> all of them in step, or the first and a note."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from oragen.media.audio import decode_audio
from oragen.media.timeline import Timeline
from oragen.media.video import sample_pictures
from tests.media_files import plain, tone, write_fade, write_sound, write_video

LIMIT_S = 60.0
FIRST_ONLY = ["recordings not read: those that are joined behind the first"]


def record(
    path: Path,
    *,
    tone_hz: float,
    level: int,
    start_s: float = 0.0,
    codecs: tuple[str, str] = ("libx264", "aac"),
) -> bytes:
    """Two seconds of a tone and a shade, then one of silence and black."""
    levels = [level] * 50 + [0] * 25
    write_video(
        path,
        [start_s + k / 25 for k in range(75)],
        [plain(one) for one in levels],
        codec=codecs[0],
        sound=np.concatenate([tone(2.0, tone_hz=tone_hz), np.zeros((1, 16_000))], axis=1),
        sound_codec=codecs[1],
        sound_start_s=start_s,
        time_base=Fraction(1, 90_000),
    )
    return path.read_bytes()


def tones(path: Path) -> tuple[list[int], list[str]]:
    """Return the loudest frequency in the middle of each second, 0 for silence."""
    notes: list[str] = []
    audio = decode_audio(path, max_duration_s=LIMIT_S, notes=notes)
    middles = [audio[k + 4_000 : k + 12_000] for k in range(0, len(audio) - 12_000, 16_000)]
    spectra = [np.abs(np.fft.rfft(middle)) for middle in middles]
    return [
        int(spectrum.argmax()) * 2 if np.abs(middle).max() > 1_000 else 0
        for middle, spectrum in zip(middles, spectra, strict=True)
    ], notes


def shades(path: Path) -> tuple[list[int], list[str]]:
    """Return the shade in the middle of each second."""
    notes: list[str] = []
    pictures = list(
        sample_pictures(path, max_duration_s=LIMIT_S, pictures_per_second=2.0, notes=notes)
    )
    return [
        int(round(float(picture.rgb.mean()), -1))
        for picture in pictures
        if picture.sample % 16_000 == 8_000
    ], notes


@pytest.mark.parametrize(
    ("suffix", "codecs", "starts_s"),
    [
        ("ts", ("libx264", "aac"), (0.0, 0.0)),
        ("ts", ("libx264", "aac"), (0.0, 0.0, 0.0)),
        ("ts", ("libx264", "aac"), (9.0, 2.0)),
        ("mkv", ("libx264", "aac"), (0.0, 0.0)),
        ("webm", ("libvpx", "libopus"), (0.0, 0.0)),
    ],
)
def test_joined_recordings_are_in_step(
    tmp_path: Path, suffix: str, codecs: tuple[str, str], starts_s: tuple[float, ...]
) -> None:
    parts = [
        record(
            tmp_path / f"{number}.{suffix}",
            tone_hz=400 + 200 * number,
            level=60 + 60 * number,
            start_s=start_s,
            codecs=codecs,
        )
        for number, start_s in enumerate(starts_s)
    ]
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(parts))
    (heard, notes), (seen, more_notes) = tones(path), shades(path)
    assert heard == [400, 400, 0, 600, 600, 0, 800, 800, 0][: 3 * len(parts)]
    assert seen[: len(heard)] == [60, 60, 0, 120, 120, 0, 180, 180, 0][: 3 * len(parts)]
    [note] = notes
    assert note.startswith(f"{len(parts)} recordings are joined: new ones begin at 3.0")
    assert more_notes == notes


@pytest.mark.parametrize("starts_s", [(0.0, 5_000.0), (5_000.0, 0.0), (2**33 / 90_000 - 3, 500.0)])
def test_a_clock_that_jumps_far_or_runs_over_is_no_gap(
    tmp_path: Path, starts_s: tuple[float, float]
) -> None:
    parts = [
        record(tmp_path / "part.ts", tone_hz=tone_hz, level=level, start_s=start_s)
        for tone_hz, level, start_s in zip((400, 600), (60, 120), starts_s, strict=True)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    (heard, notes), (seen, _) = tones(path), shades(path)
    assert heard == [400, 400, 0, 600, 600, 0]
    assert seen[:6] == [60, 60, 0, 120, 120, 0]
    assert [note.partition(":")[0] for note in notes] == ["2 recordings are joined"]


def test_a_silent_recording_before_another_keeps_that_in_step(tmp_path: Path) -> None:
    mute = write_fade(tmp_path / "mute.ts", 2.0).read_bytes()
    whole = record(tmp_path / "whole.ts", tone_hz=400, level=120)
    path = tmp_path / "joined.ts"
    path.write_bytes(mute + whole)
    heard, seen = tones(path)[0], shades(path)[0]
    assert heard == [0, 0, 400, 400, 0]
    assert seen[2:5] == [120, 120, 0]


@pytest.mark.parametrize(
    ("suffix", "codec", "rate_hz"),
    [
        ("mp3", "libmp3lame", 16_000),
        ("aac", "aac", 16_000),
        ("ogg", "libopus", 48_000),
        ("flac", "flac", 16_000),
    ],
)
def test_joined_sound_is_read_to_the_end_and_is_not_called_truncated(
    tmp_path: Path, suffix: str, codec: str, rate_hz: int
) -> None:
    parts = [
        write_sound(
            tmp_path / f"part.{suffix}",
            tone(2.0, rate_hz=rate_hz, tone_hz=tone_hz),
            rate_hz=rate_hz,
            codec=codec,
        ).read_bytes()
        for tone_hz in (400, 600)
    ]
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(parts))
    heard, notes = tones(path)
    assert heard == [400, 400, 600, 600]
    assert not any("truncated" in note for note in notes)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("wav", "pcm_s16le"), ("aiff", "pcm_s16be"), ("m4a", "aac"), ("caf", "pcm_s16be")],
)
def test_where_the_format_ends_with_the_first_recording_a_note_says_so(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    path = write_sound(tmp_path / f"a.{suffix}", tone(2.0, tone_hz=400), codec=codec)
    assert not tones(path)[1]
    path.write_bytes(path.read_bytes() * 2)
    assert tones(path) == ([400, 400], FIRST_ONLY)


@pytest.mark.parametrize(
    ("suffix", "codecs"),
    [("mp4", ("libx264", "aac")), ("flv", ("libx264", "aac")), ("ogv", ("libvpx", "libopus"))],
)
def test_of_joined_videos_that_end_with_the_first_both_tracks_do(
    tmp_path: Path, suffix: str, codecs: tuple[str, str]
) -> None:
    path = tmp_path / f"a.{suffix}"
    parts = [record(path, tone_hz=tone_hz, level=60, codecs=codecs) for tone_hz in (400, 600)]
    path.write_bytes(b"".join(parts))
    assert tones(path) == ([400, 400, 0], FIRST_ONLY)
    seen, notes = shades(path)
    assert (seen[:3], notes) == ([60, 60, 0], FIRST_ONLY)


def test_damage_of_the_first_recording_is_said_beside_the_joint(tmp_path: Path) -> None:
    one = record(tmp_path / "one.mp4", tone_hz=400.0, level=100)
    middle = one.index(b"mdat") + 2_000
    damaged = one[:middle] + bytes(1_000) + one[middle + 1_000 :]
    (tmp_path / "both.mp4").write_bytes(damaged + one)
    _, notes = shades(tmp_path / "both.mp4")
    assert notes[0].startswith("truncated or damaged: ")
    assert notes[1:] == FIRST_ONLY


def test_a_late_packet_of_the_first_recording_stays_in_it() -> None:
    timeline = Timeline(may_jump_ahead=True)

    def place(track: int, start_s: int) -> Fraction:
        start = Fraction(start_s)
        return timeline.place(track, start, start, start + 1)

    assert [place(0, 0), place(1, 0), place(0, 1), place(1, 1), place(0, 2)] == [0] * 5
    assert place(0, 0) == 3  # the new recording begins where the first one ends
    assert place(1, 2) == 0  # of the first one still
    assert place(1, 0) == 3
    assert timeline.joints == [3]


def test_a_hole_is_no_joint() -> None:
    timeline = Timeline(may_jump_ahead=False)
    for start in (Fraction(0), Fraction(100)):
        assert timeline.place(0, start, start, start + 1) == 0
    assert not timeline.joints
