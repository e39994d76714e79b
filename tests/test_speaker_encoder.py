"""The speaker encoder of the package Resemblyzer: its numbers, its file, and how it is used."""

import shutil
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch

from oragen.cli.checks.project import check_encoder
from oragen.config.params import Params, load_params
from oragen.encoders import EncoderError, load_any_audio_encoder, load_audio_encoder
from oragen.encoders.speaker import SpeakerEncoder, amplify, find_parts, to_mel
from oragen.features.encoder_notes import list_files
from oragen.models.packages import SPEAKER, PackageError, find_package_file
from oragen.models.speaker import SpeakerNetwork
from oragen.predictor.packing import pack_model
from oragen.schema.vocabulary import Level
from tests.project import REPOSITORY
from tests.small_models import predict, write_model
from tests.tiny_encoders import make_noise

# Of the package itself, 0.1.4 with librosa 0.11.0, for `make_chirp`: column and band -> power.
MELS: Final = {
    (0, 0): 0.0215898, (0, 1): 0.0117923, (20, 1): 0.0443547, (20, 2): 0.0361395,
    (50, 3): 0.0576038, (50, 4): 0.0151232, (80, 5): 0.0562578, (80, 6): 0.000865639,
    (100, 6): 0.0193775, (100, 7): 0.00444038,
}  # fmt: skip
# Amplitude -> the places of five numbers of the embedding of 4 s, and these numbers.
EMBEDDINGS: Final = {
    0.02: ([125, 133, 124, 167, 191], [0.220004, 0.178903, 0.174882, 0.172378, 0.165659]),
    0.5: ([159, 106, 199, 133, 83], [0.177855, 0.177307, 0.173162, 0.168963, 0.167532]),
}

installed = pytest.mark.skipif(
    find_package_file(SPEAKER) is None, reason=f"needs `{SPEAKER.install}`"
)


def make_chirp(num_samples: int, amplitude: float = 0.02) -> np.ndarray:
    """Sweep from 100 Hz upwards, 400 Hz a second."""
    seconds = np.arange(num_samples) / 16_000
    wave = amplitude * np.sin(2 * np.pi * (100 * seconds + 200 * seconds**2))
    return np.asarray(wave, np.float32)


@pytest.fixture(scope="module")
def random_encoder() -> SpeakerEncoder:
    torch.manual_seed(0)
    return SpeakerEncoder(SpeakerNetwork())


# The numbers.


def test_mel_spectrograms_are_those_of_librosa() -> None:
    """Of `resemblyzer.wav_to_mel_spectrogram`, which calls librosa."""
    mel = to_mel(torch.from_numpy(make_chirp(16_000))).numpy()
    assert mel.shape == (101, 40)
    for (column, band), value in MELS.items():
        assert mel[column, band] == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("num_samples", "starts"),
    [
        (4_000, [0]),
        (25_600, [0]),
        (40_000, [0, 77]),  # the third part, from 154, would be 60 % sound
        (64_000, [0, 77, 154, 231]),
        (160_000, [*range(0, 848, 77)]),
    ],
)
def test_parts_lie_as_in_the_package(num_samples: int, starts: list[int]) -> None:
    assert find_parts(num_samples) == starts


@installed
@pytest.mark.parametrize("amplitude", EMBEDDINGS)
def test_an_utterance_is_embedded_as_by_the_package(amplitude: float) -> None:
    """Of `VoiceEncoder().embed_utterance(normalize_volume(wav, -30, increase_only=True))`."""
    encoder = load_any_audio_encoder("resemblyzer", levels=["late"])
    [embedded] = encoder.encode([make_chirp(64_000, amplitude)], "late")
    places, numbers = EMBEDDINGS[amplitude]
    np.testing.assert_allclose(embedded[0, places], numbers, atol=1e-4)
    assert np.linalg.norm(embedded) == pytest.approx(1, abs=1e-5)


def test_what_is_quiet_becomes_louder_and_what_is_loud_stays() -> None:
    quiet, loud = make_chirp(16_000, 0.001), make_chirp(16_000, 0.5)
    assert 10 * np.log10(np.mean(amplify(quiet) ** 2)) == pytest.approx(-30, abs=1e-3)
    np.testing.assert_array_equal(amplify(loud), loud)


# As an encoder.


@pytest.mark.parametrize(("level", "rows"), [("intermediate", 4), ("late", 1), ("pooled", 2)])
def test_the_shape_of_every_level(random_encoder: SpeakerEncoder, level: Level, rows: int) -> None:
    [embedded] = random_encoder.encode([make_noise(64_000)], level)
    assert embedded.shape == random_encoder.feature_shape(64_000, level) == (rows, 256)


def test_what_a_waveform_gives_does_not_depend_on_its_batch(
    random_encoder: SpeakerEncoder,
) -> None:
    sounds = [make_noise(n, seed=n) for n in (64_000, 9_000, 40_000)]
    for sound, rows in zip(sounds, random_encoder.encode(sounds), strict=True):
        np.testing.assert_allclose(rows, random_encoder.encode([sound])[0], atol=1e-5)


def test_an_utterance_is_the_mean_of_its_parts_with_length_one(
    random_encoder: SpeakerEncoder,
) -> None:
    sound = make_noise(64_000)
    [parts], [whole] = (random_encoder.encode([sound], level) for level in ("intermediate", "late"))
    mean = parts.mean(axis=0)
    np.testing.assert_allclose(whole[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_silence_gives_numbers(random_encoder: SpeakerEncoder) -> None:
    assert np.isfinite(random_encoder.encode([np.zeros(16_000, np.int16)], "late")[0]).all()


def test_an_encoder_of_a_package_has_no_files_of_its_own() -> None:
    assert list_files("resemblyzer") == []


# The file.


@installed
def test_another_file_of_the_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = find_package_file(SPEAKER)
    assert file is not None
    (tmp_path / "resemblyzer").mkdir()
    copied = Path(shutil.copy(file, tmp_path / "resemblyzer"))
    about = tmp_path / "resemblyzer-0.1.4.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: resemblyzer\nVersion: 0.1.4\n")
    copied.write_bytes(b"\0" + copied.read_bytes()[1:])
    monkeypatch.syspath_prepend(tmp_path)
    advice = r"Run `pip install --force-reinstall --no-deps resemblyzer==0\.1\.4`\.$"
    with pytest.raises(PackageError, match=rf"pretrained.pt has SHA-256 .* {advice}"):
        load_any_audio_encoder("resemblyzer")
    found = check_encoder(
        "voices", "resemblyzer", is_used=True, hub_cache=tmp_path, is_offline=True
    )
    assert (found.state, found.found) == ("problem", "resemblyzer: damaged")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = SPEAKER._replace(package="resemblyzer-that-is-gone")
    monkeypatch.setattr("oragen.models.speaker.SPEAKER", gone)
    with pytest.raises(PackageError, match=r"Run `pip install --no-deps resemblyzer==0.1.4`"):
        load_any_audio_encoder("resemblyzer")


@installed
def test_a_model_on_speaker_embeddings_predicts_and_packs_none_of_its_weights(
    tmp_path: Path,
) -> None:
    folder = write_model(tmp_path / "head", audio="resemblyzer")
    described = predict(folder).model
    assert described["audio_encoder_package"] == "resemblyzer 0.1.4"
    assert described["audio_encoder_licence"] == "Apache-2.0"
    pack_model(folder, tmp_path / "packed")
    assert not (tmp_path / "packed" / "audio_encoder").exists()
    assert predict(tmp_path / "packed").model == described


# What it does not have.


def test_what_the_speaker_encoder_does_not_have_is_refused() -> None:
    with pytest.raises(EncoderError, match="has no level `early`"):
        load_any_audio_encoder("resemblyzer", levels=["early"])
    with pytest.raises(EncoderError, match=r"found precision fp32, revision None and layers all"):
        load_any_audio_encoder("resemblyzer", layers="all")
    with pytest.raises(EncoderError, match=r"cannot be fine-tuned. Take it out"):
        load_audio_encoder("resemblyzer")


def test_stretches_of_the_speaker_encoder_are_refused() -> None:
    params = load_params(REPOSITORY / "params.yaml").model_dump(mode="json")
    params["features"]["audio"] |= {"encoder": "resemblyzer", "span": "clip"}
    with pytest.raises(ValueError, match=r"gives vectors of windows\. Set span: window"):
        Params.model_validate(params)
