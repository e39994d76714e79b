"""Any input of a predictor -> a prediction as far as possible, or the reason why not."""

import os
import shutil
import signal
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from oragen.isolation.limits import Limits
from oragen.media.audio import decode_audio
from oragen.media.video import sample_pictures
from oragen.predictor import Prediction, Predictor
from oragen.predictor.clip_decoder import ClipDecoder
from oragen.predictor.pretrained import load_pretrained
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import SAMPLE_RATE_HZ
from tests import bombs
from tests.broken_clips import write_broken_clips
from tests.media_files import add_sound
from tests.small_models import save_model
from tests.users import open_folder, ordinary_user

NO_FACE = {"face": "no face"}
REASONS = {  # of what is not usable; what is not named here must be
    "good.mp4": {},
    "empty.mp4": {"audio": "empty file", "face": "empty file"},
    "text.mp4": {"audio": "not a media file", "face": "not a media file"},
    "truncated.mp4": {"audio": "truncated or damaged", "face": "truncated or damaged"},
    "cut.mp4": {},
    "no_audio.mp4": {"audio": "no audio track"},
    "no_video.mp4": {"face": "no video track"},
    "short.mp4": {"audio": "no speech", **NO_FACE},
    "silent.mp4": {"audio": "no speech"},
    "no_face.mp4": NO_FACE,
    "missing.mp4": {"audio": "no such file", "face": "no such file"},
    "folder.mp4": {"audio": "not a file", "face": "not a file"},
    "video_called.wav": {},
    "video_called.jpg": {},
    "picture_called.mp4": {"audio": "no audio track"},
    "sound_called.mp4": {"face": "no video track"},
    "huge.png": {"audio": "no audio track", "face": "picture too large"},
    "hours.wav": {"audio": "longer than 7200 s", "face": "longer than 7200 s"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good clip and one of every bad kind."""
    folder = tmp_path_factory.mktemp("bad")
    spec = CorpusSpec("studio", 6, seed=3, clips_per_speaker=(1, 1), duration_s=(3.0, 3.2))
    good = folder / "good.mp4"
    write_clip(replace(plan_clips(spec)[0], mask_type="none", fault="none"), good)
    write_broken_clips(folder, good)
    (folder / "folder.mp4").mkdir()
    for name in ("video_called.wav", "video_called.jpg"):
        shutil.copy2(good, folder / name)
    picture = next(sample_pictures(good, max_duration_s=9.0)).rgb
    cv2.imwrite(str(folder / "picture.png"), picture[..., ::-1])
    (folder / "picture.png").rename(folder / "picture_called.mp4")
    speech = decode_audio(good, max_duration_s=60.0)
    write_wav(folder / "sound.wav", speech)
    (folder / "sound.wav").rename(folder / "sound_called.mp4")
    cv2.imwrite(str(folder / "huge.png"), np.zeros((8200, 8200), np.uint8))
    write_wav(folder / "hours.wav", np.zeros(1, np.int16), claimed_s=3 * 3600)
    return folder


def write_wav(path: Path, samples: np.ndarray, *, claimed_s: int = 0) -> None:
    with av.open(str(path), "w") as container:
        add_sound(container, samples[np.newaxis] / 2**15, codec="pcm_s16le")
    if claimed_s:  # a file that would be that long, with holes that take no room on the disk
        num_bytes = claimed_s * SAMPLE_RATE_HZ * 2
        content = bytearray(path.read_bytes())
        place = content.index(b"data") + 4
        content[place : place + 4] = num_bytes.to_bytes(4, "little")
        path.write_bytes(content)
        os.truncate(path, place + 4 + num_bytes)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.from_pretrained(save_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def predictions(predictor: Predictor, folder: Path) -> dict[str, Prediction]:
    """The predictions of all files, in one call."""
    in_order = predictor.predict_files(folder / name for name in REASONS)
    return {Path(prediction.input).name: prediction for prediction in in_order}


def test_nothing_is_lost(predictions: dict[str, Prediction]) -> None:
    assert list(predictions) == list(REASONS)


@pytest.mark.parametrize("name", REASONS)
def test_each_kind_is_predicted_from_what_it_has_and_says_what_it_lacks(
    predictions: dict[str, Prediction], name: str
) -> None:
    prediction, reasons = predictions[name], REASONS[name]
    missing = {
        modality: report.reason
        for modality, report in prediction.modalities.items()
        if report.reason is not None
    }
    assert missing == reasons
    assert prediction.is_predicted is (len(reasons) < 2)
    assert bool(prediction.windows) is prediction.is_predicted
    assert prediction.to_dict()["status"] == ("ok" if prediction.is_predicted else "no_predictions")
    prediction.to_json()


def test_a_clip_that_breaks_off_is_predicted_and_says_so(
    predictions: dict[str, Prediction],
) -> None:
    assert any("truncated or damaged" in note for note in predictions["cut.mp4"].notes)
    assert predictions["good.mp4"].notes == []


@pytest.mark.parametrize("name", ["good.mp4", "no_audio.mp4", "no_face.mp4", "silent.mp4"])
def test_a_clip_is_as_long_as_its_sound_or_pictures(
    predictions: dict[str, Prediction], folder: Path, name: str
) -> None:
    """No face is looked for between whole seconds, but the clip goes on."""
    with av.open(str(folder / name)) as container:
        length_s = (container.duration or 0) / av.time_base
    assert length_s % 1 > 0.02
    assert predictions[name].length_s == pytest.approx(length_s, abs=0.03)


def test_a_picture_counts_as_a_second(predictions: dict[str, Prediction]) -> None:
    assert predictions["picture_called.mp4"].length_s == 1


def test_a_wrong_name_changes_no_prediction(predictions: dict[str, Prediction]) -> None:
    good = predictions["good.mp4"].to_dict()
    for name in ("video_called.wav", "video_called.jpg"):
        assert predictions[name].to_dict() | {"input": good["input"]} == good


def test_a_clip_among_others_is_predicted_as_alone(
    predictor: Predictor, folder: Path, predictions: dict[str, Prediction]
) -> None:
    alone = predictor(folder / "good.mp4")
    assert isinstance(alone, Prediction)
    assert alone.to_json() == predictions["good.mp4"].to_json()


def test_a_file_that_may_not_be_read_says_so(
    predictor: Predictor, folder: Path, predictions: dict[str, Prediction]
) -> None:
    assert predictions["good.mp4"].is_predicted  # so all that is needed is imported
    with open_folder() as place:
        path = place / "secret.mp4"
        shutil.copy2(folder / "good.mp4", path)
        path.chmod(0)
        with ordinary_user():
            prediction = predictor(path)
    assert isinstance(prediction, Prediction)
    for report in prediction.modalities.values():
        assert report.reason == "no permission"


@pytest.mark.slow
def test_a_bomb_is_named_and_all_others_are_predicted(
    folder: Path, predictions: dict[str, Prediction], tmp_path: Path
) -> None:
    bombs.write_flac(tmp_path / "rate.flac", rate_hz=1, num_samples=0)
    bombs.write_jpeg(tmp_path / "pixels.jpg", width=65_500, height=65_500)
    video = bombs.write_huge_video(tmp_path / "work.mp4", count=300)
    model = load_pretrained(save_model(tmp_path / "model"))
    predictor = Predictor(model, decoder=ClipDecoder(Limits(memory_gb=1.5, work_s=4.0)))
    good = folder / "good.mp4"
    paths = [good, video, tmp_path / "rate.flac", tmp_path / "pixels.jpg", good]
    first, *bad, last = predictor.predict_files(paths)
    for prediction in (first, last):
        assert prediction.windows == predictions["good.mp4"].windows
    reasons = [prediction.reasons for prediction in bad]
    assert reasons[0].startswith("audio: no audio track; face: decoding needs more than ")
    assert reasons[1] == "audio: implausible sample rate; face: no video track"
    assert reasons[2] == "audio: no audio track; face: picture too large"


@pytest.mark.slow
def test_what_nobody_waits_for_is_given_up(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    video = bombs.write_huge_video(tmp_path / "work.mp4", side=4_096, count=6_000)
    predictions = predictor.predict_files([folder / "good.mp4", *[video] * 3])
    next(predictions)
    assert isinstance(predictions, Generator)
    start = time.monotonic()
    predictions.close()
    assert time.monotonic() - start < 20  # decoding takes more than a minute
    again = predictor(folder / "good.mp4")
    assert isinstance(again, Prediction)
    assert again.is_predicted


@pytest.mark.slow
def test_an_interrupt_does_not_wait_for_a_bomb(predictor: Predictor, tmp_path: Path) -> None:
    video = bombs.write_huge_video(tmp_path / "work.mp4", side=4_096, count=6_000)
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 2)
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            predictor(video)
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert time.monotonic() - start < 30  # it would take minutes


@pytest.mark.slow
def test_ninety_minutes_are_predicted_without_holding_all_features(
    predictor: Predictor, folder: Path
) -> None:
    """Speech at the start and at the end of 90 minutes of silence; so many slots are empty."""
    speech = decode_audio(folder / "good.mp4", max_duration_s=60.0)
    samples = np.zeros(90 * 60 * SAMPLE_RATE_HZ, np.int16)
    samples[: len(speech)] = speech
    samples[-len(speech) :] = speech
    write_wav(folder / "long.wav", samples)
    prediction = predictor(folder / "long.wav")
    assert isinstance(prediction, Prediction)
    assert prediction.is_predicted
    assert prediction.length_s == 5400
    starts = [window.span.start / SAMPLE_RATE_HZ for window in prediction.windows]
    assert min(starts) < 4
    assert max(starts) > 5396
    assert max(np.diff(starts)) > 5000


def test_arrays_are_predicted_and_wrong_ones_refused(predictor: Predictor, folder: Path) -> None:
    speech = decode_audio(folder / "good.mp4", max_duration_s=60.0)
    faces = [picture.rgb for picture in sample_pictures(folder / "good.mp4", max_duration_s=9.0)]
    from_audio = predictor.predict(audio=speech)
    assert from_audio.modalities["face"].reason == "not given"
    assert from_audio.gender is not None
    floats = predictor.predict(audio=speech / 2**15)
    assert floats.gender == from_audio.gender
    assert predictor.predict(faces=faces).modalities["audio"].reason == "not given"
    both = predictor.predict(audio=speech, faces=faces[:1])
    assert all(window.num_faces == 1 for window in both.windows)  # a still face holds throughout
    slow = predictor.predict(audio=np.repeat(speech, 2), rate_hz=32_000)
    assert slow.length_s == pytest.approx(from_audio.length_s, abs=0.01)
    with pytest.raises(UserError, match="Give `audio`, `faces`, or both"):
        predictor.predict()
    with pytest.raises(UserError, match="NaN or infinite samples"):
        predictor.predict(audio=np.array([0.0, np.nan]))
