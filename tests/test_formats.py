"""The file formats that corpora come in -> the same sound and pictures."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from oragen.detection.faces import CropOptions
from oragen.media.audio import decode_audio, decode_clip
from oragen.media.container import (
    EncodingError,
    SoundEncoding,
    parse_encoding,
)
from oragen.media.errors import UnusableMediaError
from oragen.media.video import sample_pictures
from tests.media_files import (
    compress_with_shorten,
    plain,
    to_int16,
    tone,
    write_coded_sphere,
    write_sound,
    write_sphere,
    write_video,
)

LIMIT_S = 60.0
WHOLE_PICTURE = CropOptions("none", None, 0.6, 2, 0.0, 32, LIMIT_S)


def decode(path: Path, encoding: str | None = None, notes: list[str] | None = None) -> np.ndarray:
    sound_encoding = parse_encoding(encoding) if encoding else None
    return decode_audio(path, max_duration_s=LIMIT_S, encoding=sound_encoding, notes=notes)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def loudest_hz(audio: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(audio[:16_000])).argmax())


def refusal(path: Path, encoding: str | None = None) -> str:
    with pytest.raises(UnusableMediaError) as caught:
        decode(path, encoding)
    return caught.value.reason


# -- headerless sound ------------------------------------------------------------------------------


def test_an_encoding_is_a_sample_format_at_a_rate() -> None:
    assert parse_encoding("s16le@8000") == SoundEncoding("s16le", 8_000)
    assert parse_encoding("mulaw@16000") == SoundEncoding("mulaw", 16_000)


@pytest.mark.parametrize(
    "text",
    ["", "s16le", "s16le@", "@8000", "s16le@8k", "s16le@-1", "s16le@0", "mp3@8000", "S16LE@8000"],
)
def test_other_words_are_no_encoding(text: str) -> None:
    with pytest.raises(EncodingError, match=r"Write <sample format>@<rate in Hz>, e\.g\. s16le@8"):
        parse_encoding(text)


@pytest.mark.parametrize(
    ("sample_format", "content", "expected"),
    [
        ("s16le", b"\x01\x00\xff\xff\x00\x80", [1, -1, -32_768]),
        ("s16be", b"\x00\x01\xff\xff\x80\x00", [1, -1, -32_768]),
        ("s24le", b"\x00\x01\x00\x00\x00\x80", [1, -32_768]),
        ("s24be", b"\x00\x01\x00\x80\x00\x00", [1, -32_768]),
        ("s32le", b"\x00\x00\x01\x00\x00\x00\x00\x80", [1, -32_768]),
        ("s32be", b"\x00\x01\x00\x00\x80\x00\x00\x00", [1, -32_768]),
        ("f32le", np.array([0.5, -1.0], "<f4").tobytes(), [16_384, -32_768]),
        ("f32be", np.array([0.5, -1.0], ">f4").tobytes(), [16_384, -32_768]),
        ("s8", b"\x00\x01\x80", [0, 256, -32_768]),
        ("u8", b"\x80\x81\x00", [0, 256, -32_768]),
        # ITU-T G.711: the smallest and the largest values of both laws, on a scale of 16 bits.
        ("alaw", b"\xd5\x55\xaa\x2a", [8, -8, 32_256, -32_256]),
        ("mulaw", b"\xff\x7f\x80\x00", [0, 0, 32_124, -32_124]),
    ],
)
def test_samples_are_read_as_the_encoding_says(
    tmp_path: Path, sample_format: str, content: bytes, expected: list[int]
) -> None:
    path = write(tmp_path / "utterance.raw", content)
    assert decode(path, f"{sample_format}@16000").tolist() == expected


def test_telephone_speech_of_8_khz_is_decoded_at_its_pitch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.raw", to_int16(tone(1.0, rate_hz=8_000)).tobytes())
    audio = decode(path, "s16le@8000")
    assert audio.shape == (16_000,)
    assert loudest_hz(audio) == 440.0
    assert np.abs(audio).max() == pytest.approx(16_384, rel=0.02)
    assert len(decode(path, "s16le@16000")) == 8_000


def test_a_law_sounds_the_same_with_and_without_a_header(tmp_path: Path) -> None:
    sound = tone(1.0, rate_hz=8_000)
    wav = write_sound(tmp_path / "a.wav", sound, rate_hz=8_000, codec="pcm_alaw")
    content = wav.read_bytes()
    raw = write(tmp_path / "a.raw", content[content.index(b"data") + 8 :])
    assert raw.stat().st_size == 8_000
    np.testing.assert_array_equal(decode(wav), decode(raw, "alaw@8000"))
    assert loudest_hz(decode(wav)) == 440.0


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.m4a", "aac")])
def test_a_copy_with_a_header_is_read_by_it_whatever_is_said_of_raw_files(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = write_sound(tmp_path / name, tone(1.0), codec=codec)
    np.testing.assert_array_equal(decode(path, "mulaw@8000"), decode(path))


def test_without_an_encoding_headerless_sound_is_not_guessed_at(tmp_path: Path) -> None:
    content = to_int16(tone(1.0, rate_hz=8_000)).tobytes()
    assert refusal(write(tmp_path / "a.pcm", content)) == "not a media file"
    assert refusal(write(tmp_path / "a.raw", content)) == "no audio track"  # cameras write such


def test_half_a_sample_at_the_end_is_left_out_with_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "a.raw", b"\x01\x00\x02\x00\x03")
    notes: list[str] = []
    assert decode(path, "s16le@16000", notes).tolist() == [1, 2]
    assert notes == ["truncated or damaged: 1 bytes after the last sample"]


def test_headerless_files_that_give_no_sound_say_why(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "empty.raw", b""), "s16le@8000") == "empty file"
    assert refusal(write(tmp_path / "half.raw", b"\x01"), "s16le@8000") == "truncated or damaged"
    assert refusal(tmp_path / "missing.raw", "s16le@8000") == "no such file"
    long = write(tmp_path / "long.raw", bytes(2 * 1_000 * 61))
    assert refusal(long, "s16le@1000") == "longer than 60 s"


def test_a_clip_with_an_unknown_encoding_has_that_for_a_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "a.raw", bytes(16))
    made = decode_clip(path, max_duration_s=LIMIT_S, encoding="vox@8000")
    assert (made.reason, len(made.values)) == ("unknown sound encoding", 0)
    assert "'vox@8000'" in made.details["notes"][0]
    assert decode_clip(path, max_duration_s=LIMIT_S, encoding="u8@16000").values.shape == (16,)


# -- sound with a header ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sa1.sph", "SA1.WAV"])
def test_sphere_is_known_by_its_header_not_by_its_name(tmp_path: Path, name: str) -> None:
    samples = to_int16(tone(0.5))
    np.testing.assert_array_equal(decode(write_sphere(tmp_path / name, samples)), samples)


@pytest.mark.parametrize(
    ("coding", "content", "expected"),
    [
        ("ulaw", b"\xff\x7f\x80\x00", [0, 0, 32_124, -32_124]),
        ("mu-law", b"\xff\x7f\x80\x00", [0, 0, 32_124, -32_124]),
        ("alaw", b"\xd5\x55\xaa\x2a", [8, -8, 32_256, -32_256]),
    ],
)
def test_sphere_in_the_laws_of_telephones_is_read(
    tmp_path: Path, coding: str, content: bytes, expected: list[int]
) -> None:
    path = write_coded_sphere(
        tmp_path / "a.sph", content, num_samples=4, coding=coding, sample_bytes=1, byte_order="1"
    )
    assert decode(path).tolist() == expected


def test_sphere_may_be_big_endian_and_of_another_rate(tmp_path: Path) -> None:
    samples = to_int16(tone(1.0, rate_hz=8_000))
    content = samples.astype(">i2").tobytes()
    path = write_coded_sphere(
        tmp_path / "a.sph", content, num_samples=8_000, rate_hz=8_000, byte_order="10"
    )
    audio = decode(path)
    assert (len(audio), loudest_hz(audio)) == (16_000, 440.0)


def test_sphere_compressed_with_shorten_is_read(tmp_path: Path) -> None:
    samples = to_int16(tone(0.3))
    path = write_coded_sphere(
        tmp_path / "a.sph",
        compress_with_shorten(samples),
        num_samples=len(samples),
        coding="pcm,embedded-shorten-v2.00",
    )
    np.testing.assert_array_equal(decode(path), samples)


@pytest.mark.parametrize(
    ("coding", "reason"),
    [
        ("pcm,embedded-wavpack", "unknown codec"),
        ("pcm,embedded-shorten-v2.00", "truncated or damaged"),  # zeros are no Shorten
    ],
)
def test_sphere_in_a_coding_that_cannot_be_read_says_so(
    tmp_path: Path, coding: str, reason: str
) -> None:
    path = write_coded_sphere(tmp_path / "a.sph", bytes(512), num_samples=256, coding=coding)
    assert refusal(path) == reason


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "longest"),
    [("a.mp3", "libmp3lame", 48_000, 16_000), ("a.m4a", "aac", 16_000, 16_000 + 1_024)],
)
def test_compressed_speech_starts_where_it_started(
    tmp_path: Path, name: str, codec: str, rate_hz: int, longest: int
) -> None:
    """An AAC encoder may fill its last frame of 1024 samples with silence."""
    sound = np.concatenate([np.zeros((1, rate_hz // 2)), tone(0.5, rate_hz=rate_hz)], axis=1)
    audio = decode(write_sound(tmp_path / name, sound, rate_hz=rate_hz, codec=codec))
    assert 16_000 <= len(audio) <= longest
    assert np.flatnonzero(np.abs(audio.astype(int)) > 3_000)[0] == pytest.approx(8_000, abs=160)
    assert np.abs(audio[9_000:15_000]).max() == pytest.approx(16_384, rel=0.06)


@pytest.mark.parametrize("sound_codec", ["libmp3lame", "pcm_s16le"])
def test_an_avi_of_mpeg_4_gives_sound_and_pictures(tmp_path: Path, sound_codec: str) -> None:
    pictures = [plain(20 + 2 * k) for k in range(50)]
    path = write_video(
        tmp_path / "000111222.avi",
        [k / 25 for k in range(50)],
        pictures,
        codec="mpeg4",
        sound=tone(2.0),
        sound_codec=sound_codec,
        time_base=Fraction(1, 25),
    )
    audio = decode(path)
    assert 32_000 <= len(audio) <= 32_000 + 2 * 1_152  # AVI does not say what an encoder adds
    assert loudest_hz(audio) == 440.0
    sampled = list(sample_pictures(path, max_duration_s=LIMIT_S))[:2]  # MP3 adds two empty frames
    assert [picture.sample for picture in sampled] == [0, 16_000]
    assert [picture.rgb.mean() for picture in sampled] == pytest.approx([20, 70], abs=3)
