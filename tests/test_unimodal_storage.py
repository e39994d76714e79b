"""Saving unimodal models: what comes back, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedModel,
    ViTConfig,
    ViTModel,
)

from oragen.models.heads import HeadSizes, build_head, load_head, save_head
from oragen.models.output import HeadOutput
from oragen.models.unimodal import (
    build_audio_model,
    build_face_model,
    holds_unimodal,
    load_unimodal,
    save_unimodal,
)
from oragen.models.unimodal.audio import UnimodalAudioModel
from oragen.models.unimodal.audio_pooling import TransformerPooling
from oragen.schema.errors import UserError
from tests.unimodal_models import (
    FACE_CONFIG,
    make_audio_model,
    make_face_model,
    make_speech_encoder,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a saved face model."""
    save_unimodal(tmp_path / "face", make_face_model(), {"genders": ["female", "male"]})
    return tmp_path / "face"


@pytest.mark.parametrize("pooling", ["transformer", "mean"])
@pytest.mark.parametrize("kind", ["wav2vec2", "wav2vec2-base", "hubert", "wavlm", "data2vec"])
def test_a_saved_audio_model_gives_equal_output(kind: str, pooling: Any, tmp_path: Path) -> None:
    model = make_audio_model(
        kind, pooling, num_genders=3, num_mask_types=6, std_correction=1, age_as_fraction=True
    )
    metadata = {"genders": ["child", "female", "male"], "epoch": 3}
    save_unimodal(tmp_path / "new" / "folder", model, metadata)
    saved = load_unimodal(tmp_path / "new" / "folder")
    waveforms = torch.randn(3, 6000)
    assert_equal(saved.model(waveforms), model(waveforms))
    assert saved.metadata == metadata
    assert not saved.model.training
    assert all(weight.requires_grad for weight in saved.model.parameters())


def test_labels_of_another_model_are_refused(folder: Path) -> None:
    description = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(description | {"num_genders": 3}))
    with pytest.raises(UserError, match="has 3 genders, its labels are"):
        load_unimodal(folder)


@pytest.mark.parametrize("pooling", ["self_attention", "gated"])
def test_a_saved_face_model_gives_equal_output(pooling: Any, tmp_path: Path) -> None:
    model = make_face_model(pooling, num_mask_types=6)
    save_unimodal(tmp_path, model, {})
    images = torch.randn(2, 3, 32, 32)
    assert_equal(load_unimodal(tmp_path).model(images), model(images))


@pytest.mark.parametrize("kind", ["vit with pooler", "dinov2", "clip"])
def test_other_vision_transformers_come_back_too(kind: str, tmp_path: Path) -> None:
    sizes = {key: value for key, value in FACE_CONFIG.items() if key != "num_labels"}
    torch.manual_seed(7)
    match kind:
        case "dinov2":
            encoder: PreTrainedModel = Dinov2Model(Dinov2Config(**sizes))
        case "clip":  # computes a buffer that is not saved
            encoder = CLIPVisionModel(CLIPVisionConfig(**sizes))
        case _:
            encoder = ViTModel(ViTConfig(**sizes))
    model = build_face_model(encoder).eval()
    save_unimodal(tmp_path, model, {})
    saved = load_unimodal(tmp_path)
    images = torch.randn(2, 3, 32, 32)
    assert_equal(saved.model(images), model(images))
    assert saved.model.state_dict().keys() == model.state_dict().keys()


def test_loading_leaves_the_callers_randomness_alone(tmp_path: Path) -> None:
    encoder = CLIPVisionModel(CLIPVisionConfig(**{**FACE_CONFIG, "num_labels": 2}))
    save_unimodal(tmp_path, build_face_model(encoder), {})
    torch.manual_seed(0)
    expected = torch.randn(3)
    torch.manual_seed(0)
    load_unimodal(tmp_path)
    torch.testing.assert_close(torch.randn(3), expected, rtol=0, atol=0)


def test_a_loaded_model_can_be_trained(folder: Path) -> None:
    model = load_unimodal(folder).model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images = torch.randn(2, 3, 32, 32)
    before = model(images).age_logit
    before.sum().backward()
    optimizer.step()
    assert (model(images).age_logit < before).all()


def test_a_model_that_its_description_does_not_tell_is_not_saved(tmp_path: Path) -> None:
    encoder = make_speech_encoder("wav2vec2")
    baseline = build_audio_model(encoder)
    narrow = UnimodalAudioModel(encoder, TransformerPooling(32, 16), baseline.decisions)
    with pytest.raises(ValueError, match="this model cannot be saved"):
        save_unimodal(tmp_path / "narrow", narrow, {})
    assert not (tmp_path / "narrow").exists()


def test_labels_that_do_not_fit_the_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 0 mask_types, its labels are \['none'\]"):
        save_unimodal(tmp_path, make_face_model(), {"mask_types": ["none"]})
    assert not list(tmp_path.iterdir())


def test_a_head_is_distinguished_from_a_unimodal_model(folder: Path, tmp_path: Path) -> None:
    sizes = HeadSizes(
        audio_steps=1,
        audio_width=8,
        face_slots=2,
        face_layers=1,
        face_width=6,
        num_genders=2,
        num_mask_types=0,
    )
    save_head(tmp_path / "head", build_head("joint", sizes, width=8), {})
    assert holds_unimodal(folder)
    assert not holds_unimodal(tmp_path / "head")
    with pytest.raises(UserError, match=r"head holds a head, expected a unimodal audio model or"):
        load_unimodal(tmp_path / "head")
    with pytest.raises(UserError, match=r"face holds a unimodal face model, expected a head"):
        load_head(folder)


def test_a_head_saved_before_kinds_were_written_is_a_head(folder: Path) -> None:
    description = json.loads((folder / "head.json").read_text())
    del description["kind"]
    (folder / "head.json").write_text(json.dumps(description))
    assert not holds_unimodal(folder)


def test_an_empty_folder_holds_neither(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no model: head\.json cannot be read"):
        holds_unimodal(tmp_path)
    with pytest.raises(UserError, match="holds no unimodal audio model or unimodal face model"):
        load_unimodal(tmp_path)


def test_a_folder_without_its_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read"):
        load_unimodal(folder)


def test_changed_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    with pytest.raises(UserError, match=r"is damaged.*SHA-256"):
        load_unimodal(folder)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format_version": 7}, "format_version"),
        ({"kind": "resnet"}, "unknown kind of model, 'resnet'"),
        ({"kind": "unimodal_audio"}, "describes no model"),
        ({"num_mask_types": 3}, "do not fit"),
        ({"num_genders": "two"}, "describes no model"),
        ({"summary": {"name": "max"}}, "describes no model"),
        ({"summary": "gated"}, "describes no model"),
        ({"summary": {"name": "gated"}}, "do not fit"),
        ({"encoder": {"library": "flax"}}, "unknown library 'flax'"),
        ({"encoder": None}, "describes no model"),
        ({"encoder": {"library": "transformers", "model_type": "vat"}}, "describes no model"),
        ({"metadata": [1]}, "metadata is not an object"),
    ],
)
def test_a_changed_description_is_refused(change: dict[str, Any], what: str, folder: Path) -> None:
    description = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(description | change))
    with pytest.raises(UserError, match=f"is damaged.*{what}"):
        load_unimodal(folder)


@pytest.mark.parametrize(
    "change", [{"hidden_size": "wide"}, {"hidden_size": 23}, {"image_size": 64}]
)
def test_a_changed_encoder_is_refused(change: dict[str, Any], folder: Path) -> None:
    description = json.loads((folder / "head.json").read_text())
    description["encoder"]["config"] |= change
    (folder / "head.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match="is damaged"):
        load_unimodal(folder)


def assert_equal(found: HeadOutput, expected: HeadOutput) -> None:
    for one, other in zip(found, expected, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            torch.testing.assert_close(one, other, rtol=0, atol=0)
