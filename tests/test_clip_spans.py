"""Features of stretches: windows as views into them, in stores, tables, batches and predictions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from oragen.encoders import AudioEncoder, load_audio_encoder
from oragen.encoders.embedded_audio import design_wav2vec2
from oragen.features.dataset import WindowDataset
from oragen.features.extraction import extract
from oragen.features.loading import load_dataset
from oragen.features.rows import NONE, FeatureRows, MissingFeaturesError, locate_features
from oragen.features.spec import FeatureSpec
from oragen.features.stretches import Grid, Stretching
from oragen.features.table import join_dataset
from oragen.predictor import Predictor
from oragen.predictor.clip_inputs import ClipInputs, take_clip_inputs
from oragen.predictor.features import ModalityEncoders, embed_windows
from oragen.predictor.preprocessing import read_preprocessing
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS, CROPS, FEATURE_ROWS, SPEECH, WINDOWS
from oragen.schema.vocabulary import GENDERS, Json
from oragen.store.failures import DamagedPartError
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.store.rows import Row
from oragen.store.writing import PartWriter, write_part
from oragen.training.evaluation import OtherFeaturesError, refuse_other_features
from stages.extract_audio_features import cut_corpus
from stages.extracting import to_row
from tests.feature_stores import make_spec, write_features
from tests.pipeline_predictions import assert_same, predict, read_predictions
from tests.small_models import PREPROCESSING, change_metadata, make_sound, write_model
from tests.template_project import Template

GRID = Grid(320, 480 + 160)  # of the embedded encoder: 480 samples and a second tap 160 later
STRETCHING = Stretching(length=60, context=10, grid=GRID)
CPU = torch.device("cpu")


def values_of(rows: FeatureRows) -> list[list[float]]:
    """The first number of each position of each row, zeros behind it."""
    parts = {number: rows.read_part(number) for number in range(len(rows.parts))}
    values: list[list[float]] = rows.gather(np.arange(len(rows)), parts)[..., 0].tolist()
    return values


@pytest.fixture
def rows(tmp_path: Path) -> FeatureRows:
    """Two stretches of four and three positions, in a part each."""
    spec = FeatureSpec(
        "audio", "identity", "embedded", "f" * 64, "intermediate", "fp32", (3, 1),
        Stretching(4, 0, GRID),
    )  # fmt: skip
    stretches = {"a": np.arange(4.0)[:, None], "b": np.arange(4.0, 7.0)[:, None]}
    for key, values in stretches.items():
        write_features(tmp_path, {key: values}, spec)
    return locate_features({str(tmp_path): [spec.key_of("a"), spec.key_of("b")]})


def view(rows: FeatureRows, *views: tuple[int, int, int, int]) -> FeatureRows:
    columns = (np.array(column, np.int64) for column in zip(*views, strict=True))
    return rows.view(*columns)


def test_windows_are_views_into_rows_that_may_go_on_in_the_next(rows: FeatureRows) -> None:
    assert rows.spec["stretch"] == {"frames": 4, "context_frames": 0}
    views = view(rows, (0, NONE, 0, 3), (0, 1, 2, 3), (0, NONE, 1, 2), (1, NONE, 0, 3))
    assert values_of(views) == [[0, 1, 2], [2, 3, 4], [1, 2, 0], [4, 5, 6]]
    assert views.num_steps.tolist() == [3, 3, 2, 3]
    assert views.shape == (3, 1)


def test_positions_that_windows_share_count_once(rows: FeatureRows) -> None:
    views = view(rows, (0, NONE, 0, 3), (0, 1, 2, 3), (0, NONE, 1, 2))
    in_bytes = {rows.part_of[0]: 4 * 2, rows.part_of[1]: 1 * 2}
    assert dict(enumerate(views.bytes_of_parts())) == in_bytes
    assert views.num_bytes == 10


@pytest.mark.parametrize(
    "wrong", [(0, NONE, 2, 3), (0, 1, 5, 1), (0, 1, -1, 2), (0, 1, 0, 4), (1, 0, 0, 0)]
)
def test_a_view_of_positions_that_there_are_not_is_refused(
    rows: FeatureRows, wrong: tuple[int, int, int, int]
) -> None:
    with pytest.raises(MissingFeaturesError, match="1 of 2 windows are no part of their stretches"):
        view(rows, (0, NONE, 0, 3), wrong)


@pytest.mark.parametrize(
    ("stretch", "reason"),
    [
        ({"frames": 2}, "a row has more than the 2 positions of its spec"),
        ({"frames": 2**30}, "the stretch in its spec is"),
        ({"frames": "4"}, "the stretch in its spec is"),
        ([], "the stretch in its spec is"),
    ],
)
def test_a_part_whose_stretches_cannot_be_is_refused(
    tmp_path: Path, stretch: Json, reason: str
) -> None:
    values = np.zeros((4, 1), np.float16)
    spec = make_spec(shape=(3, 1)).as_json() | {"stretch": stretch}
    write_part(tmp_path, "zarr", values, [Row("1" * 32, "clip", 0, 4)], spec)
    with pytest.raises(DamagedPartError, match=reason):
        locate_features({str(tmp_path): ["1" * 32]})


def test_a_head_of_stretches_is_scored_on_windows_without_speech(
    tmp_path: Path, inputs: ClipInputs, encoder: AudioEncoder
) -> None:
    silent = extract_as_the_pipeline(tmp_path, inputs, encoder, describe(encoder))
    known = load_dataset(silent, level="intermediate", genders=GENDERS, memory_bytes=2**30).specs
    face = make_spec("face", shape=(1, 2))
    write_features(tmp_path / "face", {"crop": np.ones((1, 2))}, face)
    silent = silent.assign(
        audio_intermediate=None, audio_next_intermediate=None, audio_first=None,
        audio_num_positions=None, face_store=str(tmp_path / "face"),
        face_intermediate=[[face.key_of("crop")]] * len(silent),
    )  # fmt: skip
    dataset = load_dataset(
        silent, level="intermediate", genders=GENDERS, memory_bytes=2**30,
        specs=known | {"face": face.as_json()},
    )  # fmt: skip
    features, valid = read_whole(dataset)
    assert features.shape == (len(silent), *known["audio"]["shape"])
    assert not valid.any()


def test_keys_of_single_windows_are_as_before_and_those_of_stretches_are_others() -> None:
    window = FeatureSpec(
        "audio", "tiny", "embedded", "f" * 64, "intermediate", "fp32", (199, 128)
    )  # fmt: skip
    assert window.key_of("a" * 32) == "0609270987690a47e637f20465d976be"
    assert "stretch" not in window.as_json()
    spans = [
        FeatureSpec(
            "audio", "tiny", "embedded", "f" * 64, "intermediate", "fp32", (199, 128), stretching
        )
        for stretching in (None, STRETCHING, Stretching(61, 10, GRID), Stretching(60, 11, GRID))
    ]
    assert len({spec.key_of("a" * 32) for spec in spans}) == 4


def test_frames_of_a_stretch_are_those_of_its_windows_at_the_same_samples() -> None:
    """At the level `early` a frame depends on its own samples alone, unless they are scaled."""
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True, do_normalize=False)
    encoder = AudioEncoder(design_wav2vec2(), extractor)
    assert encoder.frame_samples == GRID
    sound = make_sound().astype(np.float32)
    [whole] = encoder.encode([sound], "early")
    [window] = encoder.encode([sound[320 * 20 : 320 * 20 + 16_000]], "early")
    np.testing.assert_allclose(whole[20 : 20 + len(window)], window, rtol=2e-6, atol=1e-5)


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    return load_audio_encoder("embedded")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ClipInputs:
    """3 s of speech in windows of a second."""
    preprocessing = read_preprocessing(PREPROCESSING, tmp_path_factory.mktemp("head"))
    clip = take_clip_inputs(preprocessing, audio=make_sound(), name="clip")
    assert len(clip.windows) > 3
    return clip


def extract_as_the_pipeline(
    folder: Path, inputs: ClipInputs, encoder: AudioEncoder, spec: FeatureSpec
) -> pd.DataFrame:
    """Write sound, tables and features as the stages do; return the dataset table."""
    with PartWriter(PartStore(folder / "sound", "h5"), {}, None) as writer:
        writer.add("1" * 32, "c/b", np.full(9_000, 77, np.int16))
        writer.add("2" * 32, "c/a", inputs.samples)
        writer.add("3" * 32, "c/c", np.full(9_000, 77, np.int16))
    speech = SPEECH.frame(
        [{"clip_id": "c/a", "key": "speech", "audio_key": "2" * 32, "starts": [], "stops": [],
          "num_samples": len(inputs.samples)}]
    )  # fmt: skip
    windows = WINDOWS.frame(
        [
            {"window_id": f"{n}", "clip_id": "c/a", "start": window.span.start,
             "stop": window.span.stop, "has_speech": window.has_speech, "crops": [-1],
             "key": f"window {n}", "audio_key": "2" * 32}
            for n, window in enumerate(inputs.windows)
        ]
    )  # fmt: skip
    assert spec.stretching is not None
    store = PartStore(folder / "features", "zarr")
    with OpenParts(PartStore(folder / "sound", "h5")) as sounds:
        items, located = cut_corpus(windows, speech, sounds, spec.stretching)
        extract(store, items, encoder, [spec], batch_size=2, part_bytes=1)
    rows = FEATURE_ROWS.frame([to_row(features, spec, store.folder) for features in located])
    clip: dict[str, object] = {"clip_id": "c/a", "corpus": "c", "split": "train", "speaker_id": "a"}
    return join_dataset(
        CLIPS.frame([clip]), windows, CROPS.empty(), rows, FEATURE_ROWS.empty()
    )  # fmt: skip


def describe(encoder: AudioEncoder, stretching: Stretching | None = STRETCHING) -> FeatureSpec:
    return FeatureSpec(
        "audio", "tiny", "embedded", encoder.fingerprint(), "intermediate", "fp32",
        encoder.feature_shape(16_000), stretching,
    )  # fmt: skip


def read_whole(dataset: WindowDataset) -> tuple[np.ndarray, np.ndarray]:
    """The features of all windows in order, and where they have any."""
    batches = [*dataset.batches(3, CPU)]
    order = np.argsort(np.concatenate([batch.windows.numpy() for batch in batches]))
    columns = ([batch.audio for batch in batches], [batch.audio_valid for batch in batches])
    features, valid = (torch.cat(column).numpy()[order] for column in columns)
    return features, valid


@pytest.mark.parametrize("memory_bytes", [2**30, 1], ids=["in memory", "streamed"])
def test_a_predictor_has_the_features_of_the_pipeline(
    tmp_path: Path, inputs: ClipInputs, encoder: AudioEncoder, memory_bytes: int
) -> None:
    spec = describe(encoder)
    table = extract_as_the_pipeline(tmp_path, inputs, encoder, spec)
    assert table["audio_next_intermediate"].notna().any()
    dataset = load_dataset(
        table, level="intermediate", genders=GENDERS, memory_bytes=memory_bytes
    )  # fmt: skip
    assert (dataset.in_memory is None) == (memory_bytes == 1)
    assert len(dataset.audio.rows.parts) > 1
    encoders = ModalityEncoders(encoder, None, dataset.specs, 4)
    predicted = embed_windows(inputs, inputs.windows, encoders)
    features, valid = read_whole(dataset)
    expected, expected_valid = read_whole(predicted)
    np.testing.assert_array_equal(valid, expected_valid)
    np.testing.assert_allclose(features, expected, atol=2e-3)
    some = embed_windows(inputs, inputs.windows[2:4], encoders)
    np.testing.assert_allclose(read_whole(some)[0], expected[2:4], atol=2e-3)


def test_no_frame_is_stored_twice(
    tmp_path: Path, inputs: ClipInputs, encoder: AudioEncoder
) -> None:
    table = extract_as_the_pipeline(tmp_path, inputs, encoder, describe(encoder))
    dataset = load_dataset(table, level="intermediate", genders=GENDERS, memory_bytes=2**30)
    by_windows = int(dataset.audio.rows.num_steps.sum()) * 128 * 2
    index = PartStore(tmp_path / "features", "zarr").index()
    stored = sum(located.row.stop - located.row.start for located in index.values()) * 128 * 2
    assert dataset.audio.rows.num_bytes == stored
    assert stored < 0.6 * by_windows


def use_stretches(head: Path, **changes: Json) -> Path:
    """Say that a head was trained on features of stretches."""
    features = json.loads((head / "head.json").read_text())["metadata"]["features"]
    features["audio"]["stretch"] = {"frames": 60, "context_frames": 10, **changes}
    change_metadata(head, features=features)
    return head


def test_a_head_of_stretches_predicts_on_stretches(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head", name="audio_only")
    by_windows = Predictor.from_pretrained(head).predict(audio=make_sound())
    by_stretches = Predictor.from_pretrained(use_stretches(head)).predict(audio=make_sound())
    assert by_windows.age is not None
    assert by_stretches.age is not None
    assert len(by_windows.windows) == len(by_stretches.windows)
    assert by_stretches.age.value != by_windows.age.value
    assert by_stretches.age.value == pytest.approx(by_windows.age.value, abs=5)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"frames": 10}, "stretches of 10 frames hold no window of 49"),
        ({"frames": 10**9}, "stretch.frames"),
        ({"context_frames": -1}, "stretch.context_frames"),
        ({"frames": "60"}, "stretch.frames"),
    ],
)
def test_stretches_that_cannot_be_are_refused(
    tmp_path: Path, changes: dict[str, Json], place: str
) -> None:
    head = use_stretches(write_model(tmp_path / "head", name="audio_only"), **changes)
    with pytest.raises(UserError, match=place.replace(".", r"\.")):
        Predictor.from_pretrained(head)


def test_another_span_than_in_training_is_named() -> None:
    encoder = {"encoder": "tiny", "fingerprint": "f", "level": "early", "precision": "fp32"}
    by_windows = {**encoder, "shape": [199, 8]}
    by_stretches = {**by_windows, "stretch": STRETCHING.as_json()}
    expected = r"tiny \(span window\); .* \(span clip: stretches of 60 frames with 10 of context"
    with pytest.raises(OtherFeaturesError, match=expected):
        refuse_other_features(Path("head"), {"audio": by_windows}, {"audio": by_stretches})
    refuse_other_features(Path("head"), {"audio": by_stretches}, {"audio": dict(by_stretches)})


def test_tables_of_earlier_versions_are_read(tmp_path: Path) -> None:
    row: dict[str, object] = {
        "key": "k",
        "level": "early",
        "feature_key": "f",
        "store": "data/features/a/b",
    }
    FEATURE_ROWS.frame([row]).drop(
        columns=["next_feature_key", "first", "num_positions"]
    ).to_parquet(tmp_path / "old.parquet")
    read = FEATURE_ROWS.read(tmp_path / "old.parquet")
    assert read["feature_key"].tolist() == ["f"]
    assert read["first"].isna().all()


@pytest.mark.slow
def test_a_predictor_answers_what_the_pipeline_answered_by_stretches(
    template: Template, tmp_path: Path
) -> None:
    """And to go back to windows encodes nothing."""
    project = template.copy(tmp_path)
    audio = project.read_params()["features"]["audio"]
    project.change(features={"audio": audio | {"span": "clip", "stretch_s": 5}})
    done = project.repro("evaluate_head@cross_attention")
    assert " 0 encoded now" not in done.line_of("extract_audio_features mini")
    saved = (project.folder / "data/heads/cross_attention/seed-0/head.json").read_text()
    features = json.loads(saved)["metadata"]["features"]
    assert features["audio"]["stretch"] == {"frames": 250, "context_frames": 10}
    answers = read_predictions(project, "mini")
    assert_same(predict(project, "mini", answers), answers)
    project.change(features={"audio": audio})
    back = project.repro("make_datasets")
    assert " 0 encoded now" in back.line_of("extract_audio_features mini")
