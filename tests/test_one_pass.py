"""The pictures of a clip: decoded once, and no more is searched in them than is used."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from oragen.detection import faces
from oragen.detection.face_detectors import CascadeDetector
from oragen.detection.faces import CropOptions, crop_clip
from oragen.detection.landmarks import EyeFinder
from oragen.media.images import Picture
from oragen.media.video import sample_pictures
from oragen.predictor.pretrained import load_pretrained
from oragen.predictor.published import find_model
from oragen.schema.choices.encoders import OFF_THE_SHELF
from tests.small_models import write_model

OPTIONS = CropOptions("cascade", None, 0.5, 2, 0.15, 96, 60.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one_pass") / "a.mp4"
    spec = CorpusSpec("studio", 6, seed=3, clips_per_speaker=(1, 1), duration_s=(3.0, 3.1))
    write_clip(replace(plan_clips(spec)[0], mask_type="none", fault="none"), path)
    return path


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Collect the files whose pictures are decoded, at each pass."""
    decoded: list[Path] = []

    def counted(path: Path, **options: object) -> Iterator[Picture]:
        decoded.append(path)
        return sample_pictures(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(faces, "sample_pictures", counted)
    return decoded


def test_a_clip_is_decoded_once_and_a_long_one_twice_with_the_same_crops(
    clip: Path, passes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    once = crop_clip(clip, options=OPTIONS)
    assert len(passes) == 1
    picture = next(sample_pictures(clip, max_duration_s=60.0)).rgb
    for num_bytes, num_passes in ((4 * picture.nbytes, 1), (4 * picture.nbytes - 1, 2)):
        monkeypatch.setattr(faces, "KEPT_BYTES", num_bytes)
        passes.clear()
        again = crop_clip(clip, options=OPTIONS)
        assert len(passes) == num_passes
        assert again.details == once.details
        np.testing.assert_array_equal(again.values, once.values)
    assert once.details["num_pictures"] == 4


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the side of each face whose eyes are searched for."""
    sides: list[int] = []
    find: Callable[..., tuple[float, ...] | None] = EyeFinder.find_landmarks

    def counted(self: EyeFinder, rgb: np.ndarray, **place: int) -> tuple[float, ...] | None:
        sides.append(place["side"])
        return find(self, rgb, **place)

    monkeypatch.setattr(EyeFinder, "find_landmarks", counted)
    return sides


@pytest.fixture(scope="module")
def two_faces(clip: Path) -> Path:
    """Return a picture of a face beside a smaller one."""
    face = next(sample_pictures(clip, max_duration_s=60.0)).rgb
    small = np.full_like(face, 128)
    half = face[::2, ::2]
    small[: len(half), : half.shape[1]] = half
    path = clip.with_suffix(".png")
    cv2.imwrite(str(path), np.hstack([face, small])[..., ::-1])
    return path


def test_eyes_are_searched_for_in_one_of_two_faces(two_faces: Path, searches: list[int]) -> None:
    picture = next(sample_pictures(two_faces, max_duration_s=60.0)).rgb
    assert len(CascadeDetector().detect(picture)) == 2
    assert crop_clip(two_faces, options=OPTIONS).details["num_pictures"] == 1
    assert len(searches) == 1


def test_eyes_are_searched_for_in_the_main_face_and_only_if_they_are_asked_for(
    clip: Path, searches: list[int]
) -> None:
    with_eyes = crop_clip(clip, options=OPTIONS)
    widths = [round(x2 - x1) for x1, _, x2, _, score in with_eyes.details["boxes"] if score]
    assert searches == widths
    assert any(with_eyes.details["landmarks"])
    searches.clear()
    without = crop_clip(clip, options=replace(OPTIONS, seek_landmarks=False))
    assert searches == []
    assert without.details == with_eyes.details | {"landmarks": [None] * len(widths)}
    np.testing.assert_array_equal(without.values, with_eyes.values)


def test_a_model_asks_for_the_eyes_if_its_encoder_turns_faces_upright(tmp_path: Path) -> None:
    upright = load_pretrained(find_model(OFF_THE_SHELF, None))
    assert upright.preprocessing.faces.seek_landmarks
    assert not load_pretrained(write_model(tmp_path)).preprocessing.faces.seek_landmarks
