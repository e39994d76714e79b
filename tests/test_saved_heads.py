"""Heads in files: a saved head gives equal output; what is damaged is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from oragen.models.heads import load_head, save_head
from oragen.schema.choices.heads import HeadName
from tests.small_heads import LEVELS, NAMES, assert_equal, make_features, make_head


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NAMES)
def test_a_saved_head_gives_equal_output(name: HeadName, level: str, tmp_path: Path) -> None:
    head, features = make_head(name, LEVELS[level]), make_features(LEVELS[level])
    metadata = {"genders": ["female", "male"], "features": {"audio": "abc"}, "hop_s": 2.0}
    save_head(tmp_path / "new" / "folder", head, metadata)
    saved = load_head(tmp_path / "new" / "folder")
    assert saved.metadata == metadata
    assert saved.head.spec == head.spec
    assert not saved.head.training
    assert_equal(saved.head(*features), head(*features), atol=0)


def test_labels_that_do_not_fit_the_head_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 2 genders, its labels are \['male'\]"):
        save_head(tmp_path, make_head("joint"), {"genders": ["male"]})
    assert not list(tmp_path.iterdir())


def test_a_head_of_a_training_that_diverged_is_not_written(tmp_path: Path) -> None:
    head = make_head("joint")
    with torch.no_grad():
        next(head.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite, and is not written: its training diverged"):
        save_head(tmp_path, head, {})
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no head: head\.json cannot be read"):
        load_head(tmp_path / "nowhere")


def test_a_head_without_weights_is_refused(tmp_path: Path) -> None:
    save_head(tmp_path, make_head("joint"), {})
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        load_head(tmp_path)


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    save_head(tmp_path, make_head("joint"), {})
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    with pytest.raises(ValueError, match=r"is damaged.*SHA-256"):
        load_head(tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format_version": 7}, "format_version"),
        ({"name": "resnet"}, "describes no head"),
        ({"width": 18}, "do not fit"),
        ({"width": 15}, "divisible"),
        ({"width": "wide"}, "describes no head"),
        ({"sizes": {"audio_steps": 3}}, "describes no head"),
        ({"metadata": None}, "metadata is not an object"),
        ({"layers": 3}, "layers"),
    ],
)
def test_a_changed_description_is_refused(
    change: dict[str, Any], what: str, tmp_path: Path
) -> None:
    save_head(tmp_path, make_head("joint"), {})
    description = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps(description | change))
    with pytest.raises(ValueError, match=f"is damaged.*{what}"):
        load_head(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe"])
def test_a_description_that_is_no_json_object_is_refused(content: bytes, tmp_path: Path) -> None:
    save_head(tmp_path, make_head("joint"), {})
    (tmp_path / "head.json").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        load_head(tmp_path)
