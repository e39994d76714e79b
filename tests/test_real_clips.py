"""Real talking heads through the real pipeline, where the folder of them is there."""

from pathlib import Path

import av
import pandas as pd
import pytest

from oragen.schema.tables import CROPS, FEATURE_ROWS, SPEECH, WINDOWS
from oragen.store.parts import PartStore
from tests.pipeline_predictions import assert_same, predict, read_predictions
from tests.project import REPOSITORY, Project, clone, tune_briefly

SHARED = REPOSITORY.parent / "shared"
MEDIA, YUNET = SHARED / "media", SHARED / "models" / "face_detection_yunet_n_640.onnx"
NUM_CLIPS = 12

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MEDIA.is_dir(), reason="no real clips beside the project"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone that has run on the real clips."""
    project = clone(tmp_path_factory.mktemp("real"))
    corpora = project.folder / "data" / "corpora"
    corpora.mkdir(parents=True)
    (corpora / "real").symlink_to(MEDIA)
    project.change(
        use_corpora=["real"],
        use_heads=["cross_attention"],
        encoders=tune_briefly(project),
        corpora={"real": {"reader": "csv", "root": "data/corpora/real"}},
        faces={"detector": "yunet", "weights": str(YUNET)},
        train={"corpora": ["real"], "seeds": [0], "max_epochs": 2},
        evaluate={"corpora": ["real"], "splits": ["train", "dev", "test"]},
    )
    project.repro()
    return project


def lengths_s(folder: Path) -> dict[str, float]:
    """Seconds of picture in each clip."""
    lengths = {}
    for path in sorted(folder.glob("*.mp4")):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.duration is not None
            assert stream.time_base is not None
            lengths[f"real/{path.stem}"] = float(stream.duration * stream.time_base)
    return lengths


def test_every_clip_has_speech(project: Project) -> None:
    speech = SPEECH.read(project.folder / "data/speech/real.parquet")
    assert len(speech) == NUM_CLIPS
    assert (speech["starts"].map(len) > 0).all()


def test_every_second_of_every_clip_has_a_face(project: Project) -> None:
    crops = CROPS.read(project.folder / "data/faces/real.parquet")
    for clip, length_s in lengths_s(MEDIA).items():
        seconds = crops.loc[crops["clip_id"] == clip, "sample"] // 16_000
        assert seconds.tolist() == list(range(-int(-length_s // 1))), clip


def test_windows_and_feature_rows_are_equal_in_number(project: Project) -> None:
    windows = WINDOWS.read(project.folder / "data/windows/real.parquet")
    rows = FEATURE_ROWS.read(project.folder / "data/feature_rows/real/audio.parquet")
    stored = PartStore(project.folder / "data/features/real/tiny-wav2vec2", "zarr").index()
    assert windows["clip_id"].nunique() == NUM_CLIPS
    assert len(windows) == len(rows) == len(stored)


def test_every_clip_is_predicted_from_voice_and_face(project: Project) -> None:
    predictions = pd.read_parquet(project.folder / "data/predictions/cross_attention.parquet")
    for _, members in predictions.groupby("modalities"):
        assert members["clip_id"].nunique() == NUM_CLIPS
        assert (members["num_windows"] > 0).all()
        assert members["predicted_age_years"].between(0, 100).all()


def test_a_predictor_answers_what_the_pipeline_answered(project: Project) -> None:
    answers = read_predictions(project, "real")
    assert len(answers) == NUM_CLIPS
    assert_same(predict(project, "real", answers), answers)
