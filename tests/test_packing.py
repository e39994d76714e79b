"""Models in one folder: encoders beside the head predict as encoders elsewhere did."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from oragen.detection.yunet_weights import YUNET_FILE
from oragen.models.folder import DESCRIPTION_FILE
from oragen.predictor import ModelError
from oragen.predictor.cards import CardSources
from oragen.predictor.packing import pack_model
from oragen.schema.vocabulary import Level
from oragen.training.familiarity_files import FAMILIARITY_FILE
from tests.small_models import (
    add_familiarity,
    predict,
    save_as_timm_does,
    save_as_transformers_does,
    save_finetuned,
    write_model,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("save", "level"),
    [
        (save_finetuned, "intermediate"),
        (save_finetuned, "late"),
        (save_as_transformers_does, "intermediate"),
        (save_as_timm_does, "intermediate"),
    ],
)
def test_a_packed_model_predicts_the_same_without_what_it_was_made_of(
    tmp_path: Path, save: Callable[[Path], tuple[str, str]], level: Level
) -> None:
    audio, face = save(tmp_path / "encoders")
    head = write_model(tmp_path / "head", audio=audio, face=face, level=level)
    expected = predict(head)
    assert all(report.usable for report in expected.modalities.values()), expected.reasons
    pack_model(head, tmp_path / "packed")
    shutil.move(tmp_path / "packed", tmp_path / "elsewhere" / "model")
    shutil.rmtree(tmp_path / "encoders")
    shutil.rmtree(head)
    assert predict(tmp_path / "elsewhere" / "model") == expected


def test_embedded_encoders_are_not_copied(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    pack_model(head, tmp_path / "packed")
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == [
        "README.md", "SHA256SUMS", "head.json", "model.safetensors",
    ]  # fmt: skip
    assert predict(tmp_path / "packed") == predict(head)


def test_what_a_model_knows_is_taken_along(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    add_familiarity(head, limit=1e-3)
    expected = predict(head)
    assert expected.unfamiliar
    pack_model(head, tmp_path / "packed")
    assert FAMILIARITY_FILE in (tmp_path / "packed" / "SHA256SUMS").read_text()
    assert predict(tmp_path / "packed") == expected


def test_the_weights_of_the_face_detector_are_taken_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = (hashlib.sha256(b"weights").hexdigest(),)
    monkeypatch.setattr("oragen.detection.yunet_weights.KNOWN_YUNET", published)
    (tmp_path / "yunet.onnx").write_bytes(b"weights")
    head = write_model(tmp_path / "head")
    description = json.loads((head / DESCRIPTION_FILE).read_text())
    faces = description["metadata"]["preprocessing"]["faces"]
    faces |= {"detector": "yunet", "weights": str(tmp_path / "yunet.onnx")}
    (head / DESCRIPTION_FILE).write_text(json.dumps(description))
    pack_model(head, tmp_path / "packed")
    assert (tmp_path / "packed" / YUNET_FILE).read_bytes() == b"weights"


def test_the_sums_are_those_of_all_files(tmp_path: Path) -> None:
    audio, face = save_finetuned(tmp_path / "encoders")
    pack_model(write_model(tmp_path / "head", audio=audio, face=face), tmp_path / "packed")
    lines = (tmp_path / "packed" / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path for path in (tmp_path / "packed").rglob("*") if path.is_file()}
    assert {tmp_path / "packed" / name for name in sums} == files - {
        tmp_path / "packed" / "SHA256SUMS"
    }
    assert "audio_encoder/model.safetensors" in sums
    for name, digest in sums.items():
        content = (tmp_path / "packed" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest


def test_the_card_says_what_the_model_is_and_how_well_it_does(tmp_path: Path) -> None:
    metrics = {"tiny": {"audio_visual": {"clips": 25, "gender_uar": 0.875, "age_mae_years": 8.13}}}
    pack_model(write_model(tmp_path / "head"), tmp_path / "packed", CardSources(metrics))
    card = (tmp_path / "packed" / "README.md").read_text()
    _, front_matter, text = card.split("---\n", 2)
    described = yaml.safe_load(front_matter)
    assert described["license"] == "other"
    assert described["library_name"] == "oragen"
    assert "age-recognition" in described["tags"]
    assert "Gender, in this order: female, male." in text
    assert "none, tissue, medical, ffp, respirator, shield" in text
    assert "± 7.2 for 90% of clips" in text
    assert "Trained on: tiny." in text
    assert "| tiny | 25 | 87.5 | 8.1 |  |" in text
    assert "Intended use and limits" in text


def test_a_card_without_metrics_has_no_table_of_them(tmp_path: Path) -> None:
    pack_model(write_model(tmp_path / "head"), tmp_path / "packed")
    assert "Results" not in (tmp_path / "packed" / "README.md").read_text()


def test_a_folder_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="is not empty"):
        pack_model(head, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    pack_model(head, tmp_path / "empty")
    assert (tmp_path / "empty" / "head.json").is_file()


def test_an_encoder_that_is_not_the_heads_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    description = json.loads((head / DESCRIPTION_FILE).read_text())
    description["metadata"]["features"]["audio"]["fingerprint"] = "0" * 64
    (head / DESCRIPTION_FILE).write_text(json.dumps(description))
    with pytest.raises(ModelError, match="not the one that the head"):
        pack_model(head, tmp_path / "packed")
    assert [path.name for path in tmp_path.iterdir()] == ["head"]
