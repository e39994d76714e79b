"""Clips as the published inference prepares them for the released model, beside its own numbers."""

import json
import os
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from PIL import Image

from oragen.detection.cropping import crop_rectangle
from oragen.detection.face_detectors import Box
from oragen.detection.faces import KnownBoxes
from oragen.detection.windows import Window, WindowOptions, cut_whole_windows
from oragen.models.released import REPOSITORY
from oragen.predictor import ModelError, Predictor
from oragen.predictor.boxes import read_boxes
from oragen.predictor.clip_decoder import ClipDecoder, finish
from oragen.predictor.features import ModalityEncoders, embed_windows
from oragen.predictor.preprocessing import Preprocessing, read_preprocessing
from oragen.predictor.published import PREPROCESSING
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import NO_CROP, Span
from tests.golden import FOLDER as GOLDEN
from tests.hub_cache import make_snapshot, use_hub_cache
from tests.small_models import write_model

INFERENCE: Final = GOLDEN / "inference"
MEDIA: Final = GOLDEN.parent / "media"
OPTIONS: Final = WindowOptions("every_overlap", 64_000, 32_000, 16_000)

needs_golden = pytest.mark.skipif(not INFERENCE.is_dir(), reason="golden data are absent")


def read_published() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((INFERENCE / "published_inference.json").read_text())
    return content


def boxes_of(clip: dict[str, Any]) -> KnownBoxes:
    """The published box of each second, without its score."""
    return [None if not found else tuple(found[0][:4]) for found in clip["boxes_by_second"]]


@pytest.fixture(scope="module")
def preprocessing(tmp_path_factory: pytest.TempPathFactory) -> Preprocessing:
    return read_preprocessing(PREPROCESSING, tmp_path_factory.mktemp("model"))


def test_windows_cover_the_whole_clip_and_keep_silence() -> None:
    windows = cut_whole_windows(100_000, [Span(70_000, 80_000)], [0, 48_000], options=OPTIONS)
    assert windows == [
        Window(Span(0, 64_000), False, [0, NO_CROP, NO_CROP, 1]),
        Window(Span(32_000, 96_000), True, [NO_CROP, 1, NO_CROP, NO_CROP]),
        Window(Span(64_000, 100_000), True, [NO_CROP] * 4),
    ]


def test_speech_that_touches_a_window_counts() -> None:
    [first, second] = cut_whole_windows(96_000, [Span(0, 32_000)], [], options=OPTIONS)
    assert first.has_speech
    assert second.has_speech  # it begins where the speech ends


def test_a_clip_with_neither_speech_nor_a_face_has_no_window() -> None:
    assert cut_whole_windows(96_000, [], [], options=OPTIONS) == []


def test_a_crop_is_the_box_and_a_margin_cut_off_at_the_border_and_squeezed() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    crop = crop_rectangle(picture, Box(10.4, 20.6, 59.6, 98.0, 1.0), margin=0.1, crop_px=32)
    # 10..60 and 21..98; a tenth of 50 is 5, of 77 is 8; 106 leaves the picture
    expected = Image.fromarray(picture[13:100, 5:65]).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(crop, np.asarray(expected))


@needs_golden
def test_windows_of_real_clips_are_the_published_ones(preprocessing: Preprocessing) -> None:
    decoder = ClipDecoder()
    for name, published in read_published().items():
        decoding = decoder.begin(
            MEDIA / name, preprocessing, use_audio=True, use_face=True, boxes=boxes_of(published)
        )
        windows = finish(decoding, preprocessing).windows
        assert [
            (window.span.start / 16_000, sum(crop != NO_CROP for crop in window.crops))
            for window in windows
        ] == [(window["start_sec"], window["num_faces"]) for window in published["windows"]], name


def test_what_is_missing_is_zeros_that_count_as_features(
    preprocessing: Preprocessing, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "model")
    predictor = Predictor.from_pretrained(model)
    encoders: ModalityEncoders = predictor._encoders
    inputs = finish(
        ClipDecoder().begin(tmp_path / "no.mp4", preprocessing, use_audio=True, use_face=True),
        preprocessing,
    )
    window = Window(Span(0, 16_000), False, [NO_CROP])
    dataset = embed_windows(inputs, [window], encoders, zeros_where_missing=True)
    [batch] = dataset.batches(1, torch.device("cpu"))
    assert batch.audio_valid.all()
    assert batch.face_valid.all()
    assert not batch.audio.any()
    assert not batch.face.any()


def test_a_model_trained_here_keeps_the_rules_of_its_training(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    with pytest.raises(ModelError, match="Only the published model can follow other rules"):
        Predictor.from_pretrained(model, rules="published_inference")
    Predictor.from_pretrained(model, rules="oragen")


def test_boxes_are_read_by_the_names_of_files(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text('{"a.mp4": [[1, 2, 3, 4.5], null]}')
    assert read_boxes(path) == {"a.mp4": [(1, 2, 3, 4.5), None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a.mp4": [[1, 2, 3]]}', "a.mp4.0 is no list of boxes"),
        ('{"a.mp4": 7}', "a.mp4 is no list of boxes"),
        ('{"a.mp4": [[3, 2, 1, 4]]}', "the box of a.mp4 at second 0 is empty"),
        ('{"a.mp4": [NaN]}', "cannot be read"),
        ("[]", "cannot be read"),
    ],
)
def test_boxes_of_another_form_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_boxes(path)


@contextmanager
def arguments(*given: str) -> Iterator[None]:
    before, sys.argv = sys.argv, ["make_checkpoints.py", *given]
    try:
        yield
    finally:
        sys.argv = before


@pytest.mark.slow
@needs_golden
def test_the_released_model_predicts_what_the_published_inference_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, all_threads: None
) -> None:
    snapshot = make_snapshot(use_hub_cache(tmp_path, monkeypatch), REPOSITORY)
    with arguments(str(snapshot)):
        runpy.run_path(os.fspath(INFERENCE / "make_checkpoints.py"))
    published = read_published()
    predictor = Predictor.from_pretrained(REPOSITORY)
    for name in ("f_25.mp4", "m_21.mp4"):
        [prediction] = predictor.predict_files(
            [MEDIA / name], boxes={name: boxes_of(published[name])}
        )
        assert prediction.gender is not None
        assert prediction.age is not None
        wanted = published[name]
        assert prediction.gender.probabilities == pytest.approx(
            wanted["gender_probabilities"], abs=0.001
        )
        assert prediction.age.value == pytest.approx(wanted["age_years"], abs=0.05)
        assert len(prediction.windows) == len(wanted["windows"])
