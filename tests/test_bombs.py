"""Small files that ask for much: refused by what they claim, before memory is reserved for it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from oragen.detection.faces import CropOptions, crop_clip
from oragen.isolation.limits import Limits
from oragen.isolation.workers import Workers
from oragen.media.audio import decode_clip
from oragen.schema.vocabulary import Made
from tests import bombs
from tests.media_files import plain, tone, write_sound, write_video

OPTIONS = CropOptions("none", None, 0.6, 2, 0.0, 32, max_duration_s=7200.0)
Write = Callable[[Path], Path]
PICTURES: dict[str, Write] = {
    "65500.jpg": partial(bombs.write_jpeg, width=65_500, height=65_500),
    "16200.jpg": partial(bombs.write_jpeg, width=16_200, height=16_200),
    "60000.png": partial(bombs.write_png, width=60_000, height=60_000),
    "16200.png": partial(bombs.write_png, width=16_200, height=16_200),
    "65535.gif": partial(bombs.write_gif, width=65_535, height=65_535),
    "16200.gif": partial(bombs.write_gif, width=16_200, height=16_200),
}
SOUNDS: dict[str, tuple[Write, str]] = {
    "1.flac": (
        partial(bombs.write_flac, rate_hz=1, num_samples=0), "implausible sample rate",
    ),
    "8x1.flac": (
        partial(bombs.write_flac, rate_hz=1, channels=8, num_samples=0), "implausible sample rate",
    ),
    "999.flac": (partial(bombs.write_flac, rate_hz=999), "implausible sample rate"),
    "1.wav": (partial(bombs.write_wav, rate_hz=1), "implausible sample rate"),
    "2147483647.wav": (partial(bombs.write_wav, rate_hz=2**31 - 1), "implausible sample rate"),
    "400.wav": (partial(bombs.write_wav, rate_hz=16_000, channels=400), "too many channels"),
    "billions.flac": (
        partial(bombs.write_flac, rate_hz=16_000, num_samples=2**36 - 1), "longer than 7200 s",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """A process with little memory and time."""
    with Workers(1, limits=Limits(memory_gb=1.5, work_s=4.0)) as workers:
        yield workers


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_refused_by_the_size_that_it_claims(
    workers: Workers, tmp_path: Path, name: str
) -> None:
    path = PICTURES[name](tmp_path / name)
    made = workers.submit(partial(crop_clip, options=OPTIONS), path).result()
    assert isinstance(made, Made)
    assert made.reason == "picture too large"
    assert name.partition(".")[0] in made.details["notes"][0]


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_is_refused_by_the_rate_or_channels_that_it_claims(
    workers: Workers, tmp_path: Path, name: str
) -> None:
    write, reason = SOUNDS[name]
    made = workers.submit(partial(decode_clip, max_duration_s=7200.0), write(tmp_path / name))
    assert isinstance(made.result(), Made)
    assert made.result().reason == reason


@pytest.mark.parametrize(("rate_hz", "num_expected"), [(1_000, 1_048_560), (655_350, 1_600)])
def test_unusual_rates_of_real_recorders_are_decoded(
    tmp_path: Path, rate_hz: int, num_expected: int
) -> None:
    path = bombs.write_flac(tmp_path / "sound.flac", rate_hz=rate_hz)
    made = decode_clip(path, max_duration_s=7200.0)
    assert made.reason is None
    assert len(made.values) == pytest.approx(num_expected, abs=20)


def test_sixty_four_channels_are_decoded(tmp_path: Path) -> None:
    made = decode_clip(
        bombs.write_wav(tmp_path / "many.wav", rate_hz=16_000, channels=64), max_duration_s=60.0
    )
    assert len(made.values) == 4_096


@pytest.mark.parametrize("later_s", [10_000.0, 3.0e7])
def test_a_hole_of_hours_or_years_is_not_filled(tmp_path: Path, later_s: float) -> None:
    """The header of a live recording gives no duration to refuse it by."""
    path = write_video(
        tmp_path / "hole.mkv", [0.0, 0.04, later_s], [plain(90)] * 3,
        options={"live": "1"},
    )  # fmt: skip
    made = crop_clip(path, options=OPTIONS)
    assert made.reason == "longer than 7200 s"


@pytest.mark.slow
def test_a_large_video_ends_at_its_share_of_work_and_is_named(
    workers: Workers, tmp_path: Path
) -> None:
    path = bombs.write_huge_video(tmp_path / "still.mp4", side=4_096, count=1_600)
    assert path.stat().st_size < 600_000
    failure, good = workers.map(
        partial(crop_clip, options=OPTIONS),
        [path, write_video(tmp_path / "good.mp4", [0.0, 0.5], [plain(90)] * 2)],
    )
    assert not isinstance(failure, Made)
    assert failure.reason == "decoding needs more than 4 s of work"
    assert isinstance(good, Made)
    assert np.abs(good.values.astype(int) - 90).max() < 5


def test_of_hundreds_of_tracks_some_are_tried(workers: Workers, tmp_path: Path) -> None:
    path = bombs.write_tracks(tmp_path / "tracks.mkv", count=300)
    made = workers.submit(partial(decode_clip, max_duration_s=7200.0), path).result()
    assert isinstance(made, Made)
    assert made.reason is None
    assert not made.values.any()


def test_good_sound_needs_little(workers: Workers, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.wav", tone(60.0))
    made = workers.submit(partial(decode_clip, max_duration_s=7200.0), path).result()
    assert isinstance(made, Made)
    assert len(made.values) == 960_000
