"""One clip's file -> what the pipeline keeps of it, in a store, by real workers."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from oragen.detection.faces import CropOptions, crop_clip
from oragen.isolation.workers import Workers
from oragen.media.audio import decode_clip
from oragen.store.fill import Wanted, fill_store
from oragen.store.hashing import make_key
from oragen.store.parts import PartStore
from tests.media_files import plain, tone, write_fade, write_sound

WHOLE_PICTURE = CropOptions(
    detector="none",
    weights=None,
    min_score=0.6,
    max_gap=2,
    margin=0.0,
    crop_px=32,
    max_duration_s=60.0,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips: sound, sound and pictures, and a file that is neither."""
    write_sound(tmp_path / "sound.wav", tone(0.5))
    write_fade(tmp_path / "video.mp4", 2.2, sound=tone(2.2))
    (tmp_path / "broken.mp4").write_text("no media")
    return tmp_path


NAMES = ["sound.wav", "video.mp4", "broken.mp4"]


def decode_all(folder: Path, store: PartStore, num_workers: int) -> int:
    with Workers(num_workers) as workers:
        filled = fill_store(
            store,
            {make_key(of=name): Wanted(name, folder / name) for name in NAMES},
            partial(decode_clip, max_duration_s=60.0),
            nothing=np.zeros(0, np.int16),
            spec={},
            part_bytes=2**20,
            workers=workers,
            libraries=[],
            title="test",
        )
    return filled.num_made


def test_sound_is_kept_and_what_has_none_says_why(folder: Path) -> None:
    store = PartStore(folder / "store", "h5")
    assert decode_all(folder, store, num_workers=1) == 3
    index = store.index()
    sound = {found.row.clip_id: rows for found, rows in store.read_many([*index.values()])}
    assert sound["sound.wav"].dtype == np.int16
    assert len(sound["sound.wav"]) == 8_000
    assert len(sound["video.mp4"]) >= 35_200
    assert len(sound["broken.mp4"]) == 0
    assert {found.row.clip_id: found.row.reason for found in index.values()} == {
        "sound.wav": None, "video.mp4": None, "broken.mp4": "not a media file",
    }  # fmt: skip


def test_what_was_decoded_is_not_opened_again(folder: Path) -> None:
    store = PartStore(folder / "store", "h5")
    decode_all(folder, store, num_workers=1)
    for name in NAMES:
        (folder / name).unlink()
    assert decode_all(folder, store, num_workers=1) == 0
    assert store.index()[make_key(of="sound.wav")].row.reason is None


def test_two_workers_write_the_parts_that_one_writes(folder: Path) -> None:
    one, two = PartStore(folder / "one", "h5"), PartStore(folder / "two", "h5")
    decode_all(folder, one, num_workers=1)
    decode_all(folder, two, num_workers=2)
    assert [part.name for part in one.parts()] == [part.name for part in two.parts()]


def test_a_clip_that_breaks_off_keeps_what_there_is_and_a_note(folder: Path) -> None:
    index_first = {"movflags": "faststart"}
    video = write_fade(folder / "long.mp4", 8.0, sound=tone(8.0), options=index_first)
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) * 2 // 3])
    made = decode_clip(video, max_duration_s=60.0)
    assert 16_000 < len(made.values) < 112_000
    assert made.reason is None
    assert "truncated" in made.details["notes"][0]


def test_crops_carry_their_time_and_box(folder: Path) -> None:
    made = crop_clip(folder / "video.mp4", options=WHOLE_PICTURE)
    assert made.reason is None
    assert made.values.shape == (3, 32, 32, 3)
    assert made.values.dtype == np.uint8
    assert made.details["num_pictures"] == 3
    assert made.details["samples"] == [0, 16_000, 32_000]
    assert [box[:4] for box in made.details["boxes"]] == [[0, 0, 64, 48]] * 3
    # 25 pictures a second, each brighter than the one before by 2 of 256.
    assert np.diff(made.values.mean(axis=(1, 2, 3))) == pytest.approx([50, 50], abs=3)


def test_pictures_without_a_face_say_so_and_how_many_there_were(folder: Path) -> None:
    options = CropOptions(**{**vars(WHOLE_PICTURE), "detector": "cascade"})
    made = crop_clip(folder / "video.mp4", options=options)
    assert (made.reason, made.details["num_pictures"]) == ("no face", 3)
    assert made.values.shape == (0, 32, 32, 3)
    assert made.details["samples"] == []


def test_an_image_is_a_clip_of_one_picture(folder: Path) -> None:
    cv2.imwrite(str(folder / "face.png"), plain(200))
    made = crop_clip(folder / "face.png", options=WHOLE_PICTURE)
    assert made.details["samples"] == [0]
    assert (made.values == 200).all()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sound.wav", "no video track"),
        ("broken.mp4", "not a media file"),
        ("gone.mp4", "no such file"),
    ],
)
def test_what_has_no_pictures_says_why(folder: Path, name: str, reason: str) -> None:
    made = crop_clip(folder / name, options=WHOLE_PICTURE)
    assert made.reason == reason
    assert made.values.shape == (0, 32, 32, 3)
