"""Files in folders -> those that hold sound or pictures are tried, the others are counted."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oragen.media.signatures import looks_like_media
from oragen.predictor.files import find_clips
from tests.heif_files import write_heic
from tests.media_files import plain, tone, write_sound, write_sphere, write_video

SOUNDS = {
    "wav": "pcm_s16le", "aiff": "pcm_s16be", "caf": "pcm_s16be", "au": "pcm_s16be",
    "flac": "flac", "mp3": "libmp3lame", "aac": "aac", "m4a": "aac", "oga": "flac",
    "opus": "libopus", "mka": "aac", "wv": "wavpack", "tta": "tta",
    "ac3": "ac3", "amr": "libopencore_amrnb", "w64": "pcm_s16le",
}  # fmt: skip
VIDEOS = {
    "mp4": "libx264", "mov": "libx264", "3gp": "libx264", "mkv": "libx264", "webm": "libvpx",
    "avi": "mpeg4", "ts": "libx264", "flv": "libx264", "m2ts": "libx264",
}  # fmt: skip
PICTURES = {
    "jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF",
    "avif": "AVIF", "jp2": "JPEG2000",
}  # fmt: skip


def write_sound_of(path: Path, codec: str) -> Path:
    rate_hz = {"libopencore_amrnb": 8_000, "libopus": 48_000, "ac3": 48_000}.get(codec, 16_000)
    return write_sound(path, tone(0.3, rate_hz=rate_hz), rate_hz=rate_hz, codec=codec)


@pytest.mark.parametrize("suffix", SOUNDS)
def test_sound_is_known_by_its_content(tmp_path: Path, suffix: str) -> None:
    path = write_sound_of(tmp_path / f"a.{suffix}", SOUNDS[suffix])
    assert looks_like_media(path.rename(tmp_path / "a.unknown"))


@pytest.mark.parametrize("suffix", VIDEOS)
def test_video_is_known_by_its_content(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"a.{suffix}", [0.0, 0.04], [plain(9)] * 2, codec=VIDEOS[suffix])
    assert looks_like_media(path.rename(tmp_path / "a.unknown"))


@pytest.mark.parametrize("suffix", PICTURES)
def test_a_picture_is_known_by_its_content(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(plain(9)).save(tmp_path / "a.unknown", format=PICTURES[suffix])
    assert looks_like_media(tmp_path / "a.unknown")


def other_files() -> dict[str, bytes]:
    archive, arrays = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.wav", "RIFF")
    np.savez(arrays, a=np.arange(9))
    return {
        "empty": b"",
        "notes.txt": b"It was a dark and stormy night.\n" * 20,
        "utf16.txt": "Es war dunkel. ".encode("utf-16") * 20,
        "labels.csv": b"media,speaker\na.wav,1\n",
        "labels.json": json.dumps({"media": "a.wav"}).encode(),
        "page.html": b"<!DOCTYPE html><html></html>",
        "paper.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "a.zip": archive.getvalue(),
        "a.npz": arrays.getvalue(),
        "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
        "program": b"\x7fELF\x02\x01\x01" + bytes(500),
        "zeros": bytes(500),
        "G.G": b"G" * 100,
    }


@pytest.mark.parametrize("name", other_files())
def test_other_files_are_no_media(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(other_files()[name])
    assert not looks_like_media(tmp_path / name)


def test_a_folder_is_searched_by_content_and_what_is_passed_over_is_named(tmp_path: Path) -> None:
    write_sound_of(tmp_path / "a.oga", "flac")
    write_sound_of(tmp_path / "b.caf", "pcm_s16be")
    write_heic(tmp_path / "c.heic", plain(9, width=64, height=64), tile_px=64)
    write_video(tmp_path / "a.3gp", [0.0], [plain(9)]).rename(tmp_path / "d.3ga")
    write_video(tmp_path / "a.webm", [0.0], [plain(9)], codec="libvpx").rename(tmp_path / "e.weba")
    write_sound_of(tmp_path / "f.mka", "aac")
    write_video(tmp_path / "a.mov", [0.0], [plain(9)]).rename(tmp_path / "g.qt")
    write_sphere(tmp_path / "h", np.zeros(99, np.int16))
    (tmp_path / "i.mp4").write_bytes(b"no video, but called so")
    for name, content in other_files().items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".hidden.mp4").write_bytes((tmp_path / "g.qt").read_bytes())
    clips, passed_over = find_clips([str(tmp_path)])
    names = ["a.oga", "b.caf", "c.heic", "d.3ga", "e.weba", "f.mka", "g.qt", "h", "i.mp4"]
    assert [clip.path.name for clip in clips] == names
    assert {path.name for path in passed_over} == {*other_files(), ".hidden.mp4"}


def test_a_single_file_is_taken_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("It was a dark and stormy night.")
    [clip], passed_over = find_clips([str(tmp_path / "notes.txt")])
    assert (clip.reason, passed_over) == (None, [])
