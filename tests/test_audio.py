"""Any file with sound in it -> int16 mono at 16 kHz, in step with the pictures."""

import os
import pickle
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from oragen.media.audio import decode_audio
from oragen.media.downmix import Downmix
from oragen.media.errors import UnusableMediaError
from tests.media_files import (
    mux_sound,
    plain,
    tone,
    write_fade,
    write_sound,
    write_sphere,
    write_video,
)
from tests.users import open_folder, ordinary_user

LIMIT_S = 60.0


def refusal(path: Path, *, max_duration_s: float = LIMIT_S) -> str:
    with pytest.raises(UnusableMediaError) as caught:
        decode_audio(path, max_duration_s=max_duration_s)
    assert str(path) in str(caught.value)
    return caught.value.reason


def loudest_hz(audio: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(audio[:16_000])).argmax())


def onset(audio: np.ndarray) -> int:
    return int(np.flatnonzero(np.abs(audio.astype(int)) > 3_000)[0])


@pytest.mark.parametrize(
    ("name", "codec", "layout", "rate_hz"),
    [
        ("mono.wav", "pcm_s16le", "mono", 16_000),
        ("24_bit.wav", "pcm_s24le", "stereo", 44_100),
        ("float.wav", "pcm_f32le", "5.1", 48_000),
        ("a_law.wav", "pcm_alaw", "mono", 8_000),
        ("8_bit.wav", "pcm_u8", "mono", 11_025),
        ("lossless.flac", "flac", "stereo", 16_000),
        ("big_endian.aiff", "pcm_s16be", "mono", 16_000),
        ("music.mp3", "libmp3lame", "stereo", 44_100),
        ("phone.opus", "libopus", "mono", 48_000),
    ],
)
def test_one_second_of_any_kind_is_16_000_samples_of_the_same_tone(
    tmp_path: Path, name: str, codec: str, layout: str, rate_hz: int
) -> None:
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    sound = tone(1.0, rate_hz=rate_hz, channels=channels)
    path = write_sound(tmp_path / name, sound, rate_hz=rate_hz, codec=codec, layout=layout)
    audio = decode_audio(path, max_duration_s=LIMIT_S)
    assert audio.shape == (16_000,)
    assert loudest_hz(audio) == 440.0
    assert np.abs(audio).max() == pytest.approx(16_384, rel=0.06)  # half the full scale


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.avi", "libmp3lame")])
def test_codecs_with_whole_frames_only_round_the_length_up(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = write_sound(tmp_path / name, tone(1.0), codec=codec)
    audio = decode_audio(path, max_duration_s=LIMIT_S)
    assert 16_000 <= len(audio) <= 16_000 + 2 * 1_152


def test_16_bit_samples_at_16_khz_come_through_unchanged(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 32_767, -32_768, 12_345], np.int16)
    path = write_sphere(tmp_path / "utterance.sph", samples)
    np.testing.assert_array_equal(decode_audio(path, max_duration_s=LIMIT_S), samples)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(0.5)[0], np.zeros(8_000)
    path = write_sound(tmp_path / "left.wav", np.stack([left, right]), layout="stereo")
    audio = decode_audio(path, max_duration_s=LIMIT_S)
    assert audio.max() == pytest.approx(8_192, abs=2)  # a quarter of the full scale


def test_many_short_frames_are_mixed_a_second_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks: list[int] = []
    mix = Downmix.mix

    def counted(self: Downmix, channels: np.ndarray) -> np.ndarray:
        blocks.append(len(channels))
        return mix(self, channels)

    monkeypatch.setattr(Downmix, "mix", counted)
    path = write_sound(tmp_path / "a.opus", tone(3.5, rate_hz=48_000), rate_hz=48_000,
                       codec="libopus")  # fmt: skip
    audio = decode_audio(path, max_duration_s=LIMIT_S)  # 175 frames of 20 ms
    assert sum(blocks) == len(audio) == pytest.approx(56_000, abs=400)
    assert [size // 16_000 for size in blocks] == [0, 1, 1, 1, 0]  # begun, three seconds, the rest


@pytest.mark.parametrize("channels", [3, 7, 12])
def test_channels_without_a_named_layout_are_averaged_too(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "array.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.repeat(np.arange(1_000, dtype="<i2"), channels).tobytes())
    np.testing.assert_array_equal(decode_audio(path, max_duration_s=LIMIT_S), np.arange(1_000))


def test_resampling_does_not_shift_the_sound(tmp_path: Path) -> None:
    clicks = np.zeros((1, 44_100))
    clicks[0, 22_050] = 0.9
    path = write_sound(tmp_path / "click.wav", clicks, rate_hz=44_100)
    assert np.abs(decode_audio(path, max_duration_s=LIMIT_S)).argmax() == 8_000


def test_a_third_of_a_second_is_a_clip(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "short.wav", tone(0.3))
    assert len(decode_audio(path, max_duration_s=LIMIT_S)) == 4_800


def test_silence_is_sound(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "silent.wav", np.zeros((1, 16_000)))
    np.testing.assert_array_equal(decode_audio(path, max_duration_s=LIMIT_S), np.zeros(16_000))


def test_not_a_number_is_silence_and_too_loud_is_clipped(tmp_path: Path) -> None:
    sound = np.array([[np.nan, 3.0, -3.0, 0.0]])
    path = write_sound(tmp_path / "float.wav", sound, codec="pcm_f32le")
    assert decode_audio(path, max_duration_s=LIMIT_S).tolist() == [0, 32_767, -32_768, 0]


def test_sound_that_starts_a_second_after_the_pictures_is_preceded_by_a_second_of_silence(
    tmp_path: Path,
) -> None:
    path = write_fade(tmp_path / "late.mp4", 3.0, sound=tone(2.0), sound_start_s=1.0)
    assert onset(decode_audio(path, max_duration_s=LIMIT_S)) == pytest.approx(16_000, abs=40)


def test_time_zero_is_the_start_of_the_file_not_of_the_clock(tmp_path: Path) -> None:
    path = write_fade(
        tmp_path / "from_five.mkv", 2.0, start_s=5.0, sound=tone(2.0), sound_start_s=5.0
    )
    assert onset(decode_audio(path, max_duration_s=LIMIT_S)) < 40


def test_a_hole_in_the_sound_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "hole.mkv"
    with_hole(path)
    audio = decode_audio(path, max_duration_s=LIMIT_S)
    assert len(audio) == 48_000  # one second of sound, one of nothing, one of sound
    assert np.abs(audio[16_100:31_900]).max() == 0
    assert np.abs(audio[32_100:]).max() > 16_000


def with_hole(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        mux_sound(container, stream, tone(1.0), start_s=0.0)
        mux_sound(container, stream, tone(1.0), start_s=2.0)
        container.mux(stream.encode(None))


def test_old_code_pages_in_the_tags_do_not_matter(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tagged.wav", tone(0.5), tags={"title": "AAAA"})
    path.write_bytes(path.read_bytes().replace(b"AAAA", "Речь".encode("cp1251")))
    assert len(decode_audio(path, max_duration_s=LIMIT_S)) == 8_000


@pytest.mark.parametrize("name", ["a:b.wav", "голос 1.wav", "50%.wav", "%03d.wav", "-i.wav"])
def test_odd_file_names_are_read(tmp_path: Path, name: str) -> None:
    path = write_sound(tmp_path / "plain.wav", tone(0.1)).rename(tmp_path / name)
    assert len(decode_audio(path, max_duration_s=LIMIT_S)) == 1_600


def test_relative_paths_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sound(tmp_path / "plain.wav", tone(0.1))
    monkeypatch.chdir(tmp_path)
    assert len(decode_audio(Path("plain.wav"), max_duration_s=LIMIT_S)) == 1_600


def test_an_mp4_cut_in_the_middle_gives_what_is_there_and_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index_first = {"movflags": "faststart"}
    path = write_fade(tmp_path / "cut.mp4", 8.0, sound=tone(8.0), options=index_first)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    notes: list[str] = []
    audio = decode_audio(path, max_duration_s=LIMIT_S, notes=notes)
    assert 16_000 < len(audio) < 7 * 16_000
    assert all(note.startswith("truncated or damaged") for note in notes)
    assert "of 8.00 s" in notes[-1]
    assert notes[-1] in caplog.text


def test_lost_packets_do_not_shift_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "noisy.mkv"
    sound = np.concatenate([tone(4.0), np.zeros((1, 16_000)), tone(1.0)], axis=1)
    write_sound(path, sound, codec="aac")
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 4_000] = bytes(4_000)
    path.write_bytes(content)
    notes: list[str] = []
    audio = decode_audio(path, max_duration_s=LIMIT_S, notes=notes)
    assert notes
    assert onset(audio[4 * 16_000 + 4_000 :]) + 4_000 == pytest.approx(16_000, abs=1_600)


def test_what_is_no_usable_file_is_refused_by_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("It was a dark and stormy night.\n" * 40)
    (tmp_path / "text.txt").write_text("It was a dark and stormy night.\n" * 40)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile 'other.mp4'\n")
    (tmp_path / "subtitles.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n\n")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert refusal(tmp_path / "missing.mp4") == "no such file"
    assert refusal(tmp_path) == "not a file"
    assert refusal(tmp_path / "pipe.mp4") == "not a file"
    assert refusal(tmp_path / "empty.mp4") == "empty file"
    assert refusal(tmp_path / "text.mp4") == "not a media file"
    assert refusal(tmp_path / "text.txt") == "not a media file"
    assert refusal(tmp_path / "list.mp4") == "not a media file"
    assert refusal(tmp_path / "subtitles.srt") == "not a media file"
    assert refusal(tmp_path / ("long" * 100)) == "unreadable"


def test_an_mp4_without_its_index_is_damaged(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp4", tone(2.0), codec="aac")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    assert refusal(path) == "truncated or damaged"


def test_video_alone_has_no_audio_track(tmp_path: Path) -> None:
    assert refusal(write_video(tmp_path / "mute.mp4", [0.0], [plain(9)])) == "no audio track"


def test_a_header_without_samples_is_an_empty_track(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "none.wav", tone(0.1))
    content = path.read_bytes()
    data = content.index(b"data")
    path.write_bytes(content[: data + 4] + bytes(4))
    assert refusal(path) == "empty track"


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.wav", tone(3.0))
    assert refusal(path, max_duration_s=2.0) == "longer than 2 s"
    assert len(decode_audio(path, max_duration_s=3.0)) == 48_000


def test_a_file_longer_than_it_says_is_refused_all_the_same(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.ts", tone(3.0), codec="mp2")
    assert refusal(path, max_duration_s=2.0) == "longer than 2 s"


def test_a_wav_file_written_to_a_pipe_has_no_length_and_is_read_whole(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "piped.wav", tone(1.0))
    content = bytearray(path.read_bytes())
    data = content.index(b"data")
    content[4:8] = content[data + 4 : data + 8] = b"\xff" * 4
    path.write_bytes(content)
    assert len(decode_audio(path, max_duration_s=LIMIT_S)) == 16_000


def test_an_unreadable_file_is_refused() -> None:
    with open_folder() as folder:
        path = write_sound(folder / "secret.wav", tone(0.1))
        path.chmod(0)
        with ordinary_user():
            assert path.exists()
            assert refusal(path) == "no permission"


def test_the_error_survives_the_way_from_another_process() -> None:
    error = UnusableMediaError(Path("a.mp4"), "empty file", "0 bytes")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.reason, str(copy)) == ("empty file", "a.mp4: empty file (0 bytes)")
