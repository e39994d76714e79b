"""Sound of several channels or tracks -> the voice in it, whatever the others hold."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from scipy.io import wavfile

from oragen.media.audio import decode_audio
from oragen.media.downmix import Choice, Loss
from tests.media_files import add_sound, tone, write_sound

RATE_HZ = 16_000
LENGTH_S = 3.0


def voice() -> np.ndarray:
    """Harmonics of 120 Hz that come and go four times a second, as syllables do."""
    time_s = np.arange(round(LENGTH_S * RATE_HZ)) / RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * 120 * k * time_s + k * k) / k for k in range(1, 30))
    return np.asarray(0.05 * harmonics * np.sin(np.pi * 4 * time_s) ** 4)


VOICE = voice()
NONE = np.zeros_like(VOICE)
FIRST_HALF = np.arange(len(VOICE)) < len(VOICE) // 2
NOISE = 0.3 * np.random.default_rng(0).standard_normal(len(VOICE))
HUM = tone(LENGTH_S, tone_hz=50.0)[0]
WHISTLE = tone(LENGTH_S, tone_hz=1_000.0)[0]
CLIPPED = np.sign(tone(LENGTH_S, tone_hz=200.0)[0])


def later(samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples), VOICE[: len(VOICE) - samples]])


LOST = {  # channels whose mean loses the voice; which channel has it, and why the mean has not
    "inverted": ([VOICE, -VOICE], 1, Loss.CANCELLED),
    "inverted, softer": ([VOICE, -0.8 * VOICE], 1, Loss.CANCELLED),
    "inverted, louder": ([0.7 * VOICE, -VOICE], 2, Loss.CANCELLED),
    "inverted, with noise": ([VOICE + 0.05 * NOISE, -VOICE - 0.05 * NOISE[::-1]], 1, None),
    "beside noise": ([NOISE, VOICE], 2, Loss.DROWNED),
    "beside a whistle": ([VOICE, WHISTLE], 1, Loss.DROWNED),
    "beside hum": ([VOICE, HUM], 1, Loss.DROWNED),
    "beside a broken channel": ([CLIPPED, VOICE], 2, Loss.DROWNED),
    "centre of 5.1": ([NONE, NONE, VOICE, NONE, NONE, NONE], 3, Loss.QUIET),
    "centre of 7.1": ([NONE] * 2 + [VOICE] + [NONE] * 5, 3, Loss.QUIET),
    "eight microphones, one hot": (
        [NOISE] + [(0.3 + 0.1 * k) * later(3 * k) for k in range(1, 8)], 8, None,
    ),
    "one of four": ([NONE, NONE, NONE, VOICE], 4, Loss.QUIET),
}  # fmt: skip
KEPT = {  # channels whose mean keeps the voice
    "the same": [VOICE, VOICE],
    "panned": [VOICE, 0.3 * VOICE],
    "left alone": [VOICE, NONE],
    "a little noise on the right": [VOICE, 0.02 * NOISE],
    "by turns": [np.where(FIRST_HALF, VOICE, 0), np.where(FIRST_HALF, 0, VOICE)],
    "in noise": [VOICE + 0.1 * NOISE, VOICE + 0.1 * NOISE[::-1]],
    "noise alone": [NOISE, NOISE[::-1]],
    "silence": [NONE, NONE],
    "a little later on the right": [VOICE, later(160)],
    "5.1 of one voice": [VOICE] * 6,
}  # fmt: skip


def write_channels(path: Path, channels: list[np.ndarray]) -> Path:
    wavfile.write(path, RATE_HZ, np.stack(channels, axis=1).astype(np.float32))
    return path


def decode(path: Path) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    return decode_audio(path, max_duration_s=60.0, notes=notes), notes


def to_int16(samples: np.ndarray) -> np.ndarray:
    floats = samples.astype(np.float32) * 32_768
    return np.rint(floats).clip(-32_768, 32_767).astype(np.int16)


@pytest.mark.parametrize("kind", LOST)
def test_a_voice_that_the_mean_loses_is_taken_from_its_channel(tmp_path: Path, kind: str) -> None:
    channels, number, loss = LOST[kind]
    audio, notes = decode(write_channels(tmp_path / "a.wav", channels))
    np.testing.assert_array_equal(audio, to_int16(channels[number - 1]))
    [note] = notes
    assert note.startswith(f"channel {number} of {len(channels)} was used: ")
    if loss is not None:
        assert note == Choice(number - 1, len(channels), loss).note


@pytest.mark.parametrize("kind", KEPT)
def test_ordinary_channels_are_averaged_as_ever(tmp_path: Path, kind: str) -> None:
    channels = KEPT[kind]
    audio, notes = decode(write_channels(tmp_path / "a.wav", channels))
    np.testing.assert_array_equal(audio, to_int16(np.stack(channels, 1).astype("f4").mean(axis=1)))
    assert not notes


def test_a_channel_of_numbers_that_are_none_does_not_silence_the_other(tmp_path: Path) -> None:
    channels = [VOICE, np.full_like(VOICE, np.nan)]
    audio, _ = decode(write_channels(tmp_path / "a.wav", channels))
    np.testing.assert_array_equal(audio, to_int16(VOICE / 2))


def test_the_choice_does_not_depend_on_the_codec(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        add_sound(container, np.stack([VOICE, -VOICE]), layout="stereo")
    audio, notes = decode(path)
    assert notes == ["channel 1 of 2 was used: the others cancel it in their mean"]
    assert np.abs(audio).max() == pytest.approx(np.abs(VOICE).max() * 32_768, rel=0.1)


def test_a_layout_without_loudspeakers_is_mixed_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    sphere = np.stack([0.7 * VOICE, -0.7 * VOICE, 0.3 * VOICE, -0.4 * VOICE])
    write_sound(path, sphere, codec="flac", layout="ambisonic 1")
    _, notes = decode(path)
    assert notes == ["channel 1 of 4 was used: the others cancel it in their mean"]


# -- several tracks --------------------------------------------------------------------------------


def write_tracks(
    path: Path, tracks: list[np.ndarray], disposition: Disposition = Disposition.default
) -> Path:
    """Write tracks one after the other; the disposition is that of the first."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono") for _ in tracks]
        streams[0].disposition = disposition
        for stream, samples in zip(streams, tracks, strict=True):
            assert isinstance(stream, av.AudioStream)
            frame = av.AudioFrame.from_ndarray(to_int16(samples)[None], "s16", "mono")
            frame.sample_rate = RATE_HZ
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize("first", [NONE, NOISE, HUM], ids=["silence", "noise", "hum"])
def test_the_track_with_a_voice_is_used_and_noted(tmp_path: Path, first: np.ndarray) -> None:
    audio, notes = decode(write_tracks(tmp_path / "a.mkv", [first, VOICE]))
    np.testing.assert_array_equal(audio, to_int16(VOICE))
    assert notes == ["audio track 2 of 2 was used"]


@pytest.mark.parametrize(
    "others", [[VOICE[::-1]], [NONE], [NOISE, NONE]], ids=["voice", "silence", "noise, silence"]
)
def test_the_first_track_is_used_if_it_has_a_voice(
    tmp_path: Path, others: list[np.ndarray]
) -> None:
    audio, notes = decode(write_tracks(tmp_path / "a.mkv", [VOICE, *others]))
    np.testing.assert_array_equal(audio, to_int16(VOICE))
    assert not notes


def test_of_tracks_without_a_voice_the_first_is_used(tmp_path: Path) -> None:
    audio, notes = decode(write_tracks(tmp_path / "a.mkv", [HUM, NONE]))
    np.testing.assert_array_equal(audio, to_int16(HUM))
    assert not notes


def test_a_track_of_an_unknown_codec_gives_way_to_one_that_can_be_decoded(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", [VOICE[::-1], VOICE])
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT", 1))
    audio, notes = decode(path)
    np.testing.assert_array_equal(audio, to_int16(VOICE))
    assert notes == ["audio track 2 of 2 was used"]


def test_a_track_of_nothing_but_damage_gives_way_to_one_that_can_be_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        flac = container.add_stream("flac", rate=RATE_HZ, layout="mono")
        add_sound(container, VOICE[None], codec="pcm_s16le")
        packet = av.Packet(b"no FLAC at all" * 9)
        packet.stream, packet.pts, packet.dts = flac, 0, 0
        container.mux(packet)
    audio, notes = decode(path)
    np.testing.assert_allclose(audio, to_int16(VOICE), atol=1)
    assert notes == ["audio track 2 of 2 was used"]


def test_a_comment_on_the_pictures_comes_last(tmp_path: Path) -> None:
    audio, notes = decode(
        write_tracks(tmp_path / "a.mkv", [VOICE[::-1], VOICE], Disposition.comment)
    )
    np.testing.assert_array_equal(audio, to_int16(VOICE))
    assert notes == ["audio track 2 of 2 was used"]
