"""Models from elsewhere: each ends in a prediction or in one sentence, and nothing foreign runs."""

import json
import random
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from oragen.detection.yunet_weights import YUNET_FILE, FaceWeightsError
from oragen.models.finite import find_not_finite
from oragen.models.heads import load_head
from oragen.predictor import Predictor
from oragen.predictor.packing import pack_model
from oragen.predictor.pretrained import load_pretrained
from oragen.predictor.sums import SUMS_FILE, SumsError
from oragen.schema.errors import UserError
from tests.hostile_models import (
    CROPS,
    change,
    copy_without_sums,
    fit_sums,
    tamper,
    try_out,
    write_good_model,
)
from tests.small_models import make_sound, predict


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed model with small encoders."""
    made = tmp_path_factory.mktemp("hostile")
    return write_good_model(made / "good", of=made / "of")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of it, to tamper with."""
    shutil.copytree(good, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def head(good: Path, tmp_path: Path) -> Path:
    """A copy without sums."""
    return copy_without_sums(good, tmp_path / "model")


# ---- All together


@pytest.mark.slow
def test_a_model_that_was_tampered_with_ends_in_a_prediction_or_a_sentence(
    good: Path, tmp_path: Path
) -> None:
    sound = make_sound()[:16_000]
    for seed in range(12):
        said = tamper(good, tmp_path / str(seed), random.Random(seed))
        assert try_out(tmp_path / str(seed), CROPS, sound), said


# ---- The weights of a face detector


def test_a_head_cannot_have_a_file_of_this_machine_read(head: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    faces = ("metadata", "preprocessing", "faces")
    change(head / "head.json", *faces, "detector", value="yunet")
    change(head / "head.json", *faces, "weights", value=str(tmp_path / "secret"))
    with pytest.raises(FaceWeightsError, match=r"secret is not YuNet as it was published"):
        load_pretrained(head)


def test_the_address_of_weights_is_not_fetched(head: Path) -> None:
    faces = ("metadata", "preprocessing", "faces")
    change(head / "head.json", *faces, "detector", value="yunet")
    change(head / "head.json", *faces, "weights", value="https://example.org/x.onnx")
    loaded = load_pretrained(head)
    assert loaded.preprocessing.faces.weights == Path("https:/example.org/x.onnx")


def test_weights_beside_a_head_are_used_as_before(head: Path) -> None:
    (head / YUNET_FILE).write_bytes(b"of its owner")
    change(head / "head.json", "metadata", "preprocessing", "faces", "detector", value="yunet")
    assert load_pretrained(head).preprocessing.faces.weights == head / YUNET_FILE


def test_another_file_than_yunet_is_not_packed(head: Path, tmp_path: Path) -> None:
    (head / YUNET_FILE).write_text("a private key")
    change(head / "head.json", "metadata", "preprocessing", "faces", "detector", value="yunet")
    with pytest.raises(FaceWeightsError, match="So it is not given away"):
        pack_model(head, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


# ---- Sums of a packed model


def test_a_packed_model_that_is_whole_is_loaded(folder: Path) -> None:
    assert predict(folder).is_predicted


def test_texts_may_be_edited_and_added(folder: Path) -> None:
    (folder / "README.md").write_text("The licence is ...")
    (folder / "LICENSE").write_text("...")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    load_pretrained(folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0" * 64 + "  ../../etc/passwd", "names '../../etc/passwd', outside the folder"),
        ("0" * 64 + "  /etc/passwd", "outside the folder"),
        ("0" * 64 + "  face_encoder/gone.json", "is listed and is not there"),
        ("0" * 63 + "  head.json", "not a sum and a name"),
        ("\x1b[31m", "not a sum and a name"),
        ("0" * 64 + "  head.json", "'head.json' is listed twice"),
    ],
)
def test_sums_that_are_no_sums_of_the_folder_are_refused(
    line: str, reason: str, folder: Path
) -> None:
    with (folder / SUMS_FILE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(SumsError, match=reason):
        load_pretrained(folder)


def test_a_changed_file_of_a_packed_model_is_refused(folder: Path) -> None:
    change(folder / "face_encoder" / "preprocessor_config.json", "resample", value=0)
    with pytest.raises(SumsError, match=r"face_encoder/preprocessor_config\.json has SHA-256"):
        load_pretrained(folder)


def test_a_file_that_was_not_packed_is_refused(folder: Path) -> None:
    (folder / "face_encoder" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(SumsError, match=r"pytorch_model\.bin is there and is not listed"):
        load_pretrained(folder)


# ---- Numbers that are none


def set_weights(folder: Path, **changed: Tensor) -> None:
    """Change weights in a folder of ours, with a SHA-256 that fits."""
    file = folder / "model.safetensors"
    names = {name.replace("__", "."): weight for name, weight in changed.items()}
    safetensors.torch.save_file(safetensors.torch.load(file.read_bytes()) | names, file)
    keeps_sums = (folder / SUMS_FILE).exists()
    fit_sums(folder)
    if not keeps_sums:
        (folder / SUMS_FILE).unlink()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_one_number_that_is_not_finite_is_found(number: float) -> None:
    weights = {"a": torch.zeros(3), "b": torch.zeros(1000), "c": torch.ones(2, dtype=torch.long)}
    assert find_not_finite(weights) is None
    weights["b"][777] = number
    assert find_not_finite(weights) == "b"
    assert find_not_finite({"b": weights["b"].half()}) == "b"


def test_a_head_of_nan_is_refused_also_with_a_sum_that_fits(head: Path) -> None:
    set_weights(head, decisions__gender__bias=torch.full((2,), torch.nan))
    with pytest.raises(UserError, match=r"decisions\.gender\.bias .* holds numbers that are not"):
        load_head(head)


def test_weights_that_overflow_give_a_reason_and_no_prediction(head: Path) -> None:
    set_weights(head, decisions__gender__weight=torch.full((2, 16), 3e38))
    prediction = Predictor.from_pretrained(head, device="cpu").predict(faces=CROPS)
    assert prediction.gender is None
    assert prediction.windows == []
    assert prediction.modalities["face"].reason == "the model's output for it is not finite"
    assert json.loads(prediction.to_json())["status"] == "no_predictions"
