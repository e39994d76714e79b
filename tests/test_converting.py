"""`oragen convert`: real files of weights through the real command -> folders that load."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from oragen.models import published
from oragen.models.heads import (
    PUBLISHED_HEADS,
    HeadSizes,
    PublishedLevel,
    build_head,
    load_head,
    save_head,
)
from oragen.models.published import Origin, convert_checkpoint, recognise
from oragen.models.unimodal import PUBLISHED, load_unimodal, save_unimodal
from tests.convert_command import Convert
from tests.golden import make_input, make_state_dict, read_json
from tests.published_heads import make_published_head, shapes_of_published_head
from tests.unimodal_models import make_face_model, make_published, tiny_config

SIZES = HeadSizes(
    audio_steps=1,
    audio_width=8,
    face_slots=2,
    face_layers=1,
    face_width=6,
    num_genders=2,
    num_mask_types=0,
)


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return make_published_head("MaskAgenderAVModelV1", "LATE")


# ---- Published checkpoints


@pytest.mark.parametrize("model", PUBLISHED_HEADS)
def test_a_fusion_model_becomes_a_head(model: str, convert: Convert) -> None:
    state_dict = make_published_head(model, "LATE")
    torch.save(state_dict, "multimodal_model.pt")
    ended = convert("multimodal_model.pt", "out")
    assert ended.exit_code == 0, ended.output
    assert "LATE of chimera, now in out" in ended.output
    expected = published.build(model, "LATE", state_dict)
    saved = load_head(Path("out"))
    assert_same(saved.head.state_dict(), expected.get_submodule("head").state_dict())
    assert saved.head.spec == expected.get_submodule("head").spec
    assert saved.metadata["genders"] == ["female", "male"]
    assert len(saved.metadata["mask_types"]) == (6 if "Mask" in model else 0)


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_unimodal_model_becomes_a_folder_that_rebuilds_it(model: str, convert: Convert) -> None:
    state_dict, config = make_published(model), dict(tiny_config(model))
    torch.save(state_dict, "model.pt")
    Path("config.json").write_text(json.dumps(config | {"transformers_version": "4.1"}))
    ended = convert("model.pt", "out", "--encoder-config", "config.json")
    assert ended.exit_code == 0, ended.output
    saved = load_unimodal(Path("out"))
    expected = published.build(model, None, state_dict, encoder_config=config)
    inputs = (
        torch.randn(2, 3, 32, 32) if PUBLISHED[model].encoder == "vit" else torch.randn(2, 4000)
    )
    with torch.inference_mode():
        for found, wanted in zip(saved.model(inputs), expected(inputs), strict=True):
            assert (found is None) == (wanted is None)
            assert found is None or torch.equal(found, wanted)


@pytest.mark.parametrize("source", [pytest.param("orig", marks=pytest.mark.slow), "chimera"])
def test_a_published_audio_file_gives_the_published_numbers(source: str, convert: Convert) -> None:
    golden = read_json("unimodal_models")
    wanted = (source, "AGenderAudioW2V2Model")
    listed, case = (
        next(each for each in golden[key] if (each["peer"], each["model"]) == wanted)
        for key in ("models", "cases")
    )
    torch.save(make_state_dict(listed["state_dict"]), "audio_model.pt")
    assert convert("audio_model.pt", "out").exit_code == 0
    saved = load_unimodal(Path("out"))
    with torch.inference_mode():
        output = saved.model(make_input(**case["input"]["audio"]))
    expected = case["outputs"]
    np.testing.assert_allclose(output.gender_logits, expected["gen"], atol=5e-5, rtol=1e-5)
    np.testing.assert_allclose(output.age_logit, expected["age"], atol=5e-5, rtol=1e-5)
    assert saved.metadata["published"]["source"] == source


def test_the_folder_tells_where_the_weights_came_from(
    weights: dict[str, Tensor], convert: Convert
) -> None:
    torch.save(weights, "mask.pt")
    assert convert("mask.pt", "out", "--source", "orig").exit_code == 0
    assert load_head(Path("out")).metadata == {
        "published": {
            "model": "MaskAgenderAVModelV1",
            "level": "LATE",
            "source": "orig",
            "file": "mask.pt",
            "sha256": hashlib.sha256(Path("mask.pt").read_bytes()).hexdigest(),
        },
        "genders": ["female", "male"],
        "mask_types": ["none", "tissue", "medical", "ffp", "respirator", "shield"],
        "input": {
            "sample_rate_hz": 16_000,
            "waveform_order": "normalise_then_pad",
            "min_samples": 64_000,
            "image_px": 224,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
    }


def test_a_unimodal_folder_tells_what_goes_in(tmp_path: Path) -> None:
    inputs = {}
    for model in ("AGenderAudioHuBERTModel", "AGenderImageVITGSAModel"):
        torch.save(make_published(model), tmp_path / "model.pt")
        origin = Origin(encoder_config=tiny_config(model))
        convert_checkpoint(tmp_path / "model.pt", tmp_path / model, origin)
        inputs[model] = load_unimodal(tmp_path / model).metadata["input"]
    assert inputs["AGenderAudioHuBERTModel"] == {
        "sample_rate_hz": 16_000,
        "waveform_order": "pad_then_normalise",
        "min_samples": 64_000,
    }
    assert inputs["AGenderImageVITGSAModel"]["image_px"] == 32
    assert "waveform_order" not in inputs["AGenderImageVITGSAModel"]


def wrap_twice(state_dict: Mapping[str, Tensor]) -> object:
    return {
        "model_state_dict": {
            f"module._orig_mod.{name}": entry for name, entry in state_dict.items()
        },
        "optimizer_state_dict": {"state": {0: {"step": torch.tensor(3.0)}}, "lr": 1e-5},
        "epoch": 4,
    }


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state_dict: {"state_dict": state_dict, "epoch": 3},
        lambda state_dict: {"model": dict(state_dict)},
        lambda state_dict: {f"model.{name}": entry for name, entry in state_dict.items()},
        lambda state_dict: {f"module.{name}": entry for name, entry in state_dict.items()},
        lambda state_dict: {name: torch.nn.Parameter(entry) for name, entry in state_dict.items()},
        wrap_twice,
    ],
)
def test_what_trainers_put_around_weights_is_taken_off(
    wrap: Callable[[Mapping[str, Tensor]], object], weights: dict[str, Tensor], convert: Convert
) -> None:
    torch.save(wrap(weights), "checkpoint.pt")
    torch.save(weights, "plain.pt")
    for name in ("checkpoint", "plain"):
        ended = convert(f"{name}.pt", name)
        assert ended.exit_code == 0, ended.output
    found, expected = (load_head(Path(name)).head for name in ("checkpoint", "plain"))
    assert_same(found.state_dict(), expected.state_dict())


def test_safetensors_and_half_precision_convert(
    weights: dict[str, Tensor], convert: Convert
) -> None:
    halved = {name: entry.half() for name, entry in weights.items()}
    save_file(halved, "half.safetensors")
    assert convert("half.safetensors", "out").exit_code == 0
    found = load_head(Path("out")).head.get_parameter("decisions.mask_type.weight")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.detach(), halved["cl_maskhead.weight"].float())


@pytest.mark.parametrize("level", get_args(PublishedLevel))
@pytest.mark.parametrize("model", PUBLISHED_HEADS)
def test_a_fusion_model_and_its_level_show_in_the_state_dict(
    model: str, level: PublishedLevel
) -> None:
    state_dict = {
        name: torch.zeros(()).expand(shape)
        for name, shape in shapes_of_published_head(model, level).items()
    }
    same_as = "MaskAgenderAVModelV3" if model == "MaskAgenderAVModelV2" else model
    assert recognise(state_dict) == (same_as, level)


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_unimodal_model_shows_in_the_state_dict(model: str) -> None:
    same_as = {"VIT_DPAL": "AGenderImageVITDPALModel", "VIT_GSA": "AGenderImageVITGSAModel"}
    assert recognise(make_published(model)) == (same_as.get(model, model), None)


def test_the_norms_that_only_orig_has_prove_it(tmp_path: Path) -> None:
    model, pools = "AGenderAudioW2V2Model", {}
    for source in ("orig", "chimera"):
        torch.save(make_published(model, source), tmp_path / "audio.pt")
        origin = Origin(encoder_config=tiny_config(model))
        convert_checkpoint(tmp_path / "audio.pt", tmp_path / source, origin)
        saved = load_unimodal(tmp_path / source)
        pools[source] = saved.model.get_submodule("summary.pool").correction
        assert saved.metadata["published"]["source"] == source
    assert pools == {"orig": 1, "chimera": 0}


def test_a_model_named_by_the_user_counts(convert: Convert) -> None:
    torch.save(make_published_head("MaskAgenderAVModelV2", "LATE"), "mask.pt")
    ended = convert("mask.pt", "out", "--model", "MaskAgenderAVModelV2", "--level", "LATE")
    assert ended.exit_code == 0, ended.output
    assert load_head(Path("out")).metadata["published"]["model"] == "MaskAgenderAVModelV2"


def test_the_age_of_audeering_is_kept_a_fraction(convert: Convert) -> None:
    state_dict = make_published("AgeGenderSOTAModel")
    state_dict["age.out_proj.weight"].zero_()
    state_dict["age.out_proj.bias"].fill_(0.3)
    torch.save(state_dict, "model.pt")
    Path("config.json").write_text(json.dumps(dict(tiny_config("AgeGenderSOTAModel"))))
    ended = convert("model.pt", "out", "--encoder-config", "config.json", "--age-as-fraction")
    assert ended.exit_code == 0, ended.output
    years = load_unimodal(Path("out")).model(torch.randn(1, 4000)).age_years
    assert years.item() == pytest.approx(30.0, abs=1e-3)


# ---- Checkpoints of our own


@pytest.mark.parametrize("beside", [True, False])
def test_a_trained_head_becomes_like_the_one_it_was_built_as(
    beside: bool, convert: Convert
) -> None:
    old, trained = (build_head("separate", SIZES, width=8, num_heads=2) for _ in range(2))
    save_head(Path("like"), old, {"genders": ["female", "male"], "hop_s": 2.0})
    checkpoint = Path("like" if beside else ".") / "epoch-3.pt"
    torch.save({"weights": trained.state_dict(), "progress": {"epoch": 3}}, checkpoint)
    if beside:
        Path("like/model.safetensors").unlink()
    ended = convert(checkpoint, "out", *([] if beside else ["--like", "like"]))
    assert ended.exit_code == 0, ended.output
    saved = load_head(Path("out"))
    assert_same(saved.head.state_dict(), trained.state_dict())
    assert saved.metadata["hop_s"] == 2.0
    assert saved.metadata["converted"]["file"] == "epoch-3.pt"


def test_a_trained_unimodal_model_becomes_like_the_one_it_was_built_as(convert: Convert) -> None:
    trained = make_face_model(num_mask_types=6)
    save_unimodal(Path("like"), trained, {"epoch": 1})
    with torch.no_grad():
        trained.get_parameter("decisions.gender.bias").fill_(7.0)
    torch.save(trained.state_dict(), "trained.pt")
    assert convert("trained.pt", "out", "--like", "like").exit_code == 0
    saved = load_unimodal(Path("out"))
    assert_same(saved.model.state_dict(), trained.state_dict())
    assert saved.metadata["epoch"] == 1


def test_weights_of_other_sizes_than_the_model_they_are_like_are_refused(convert: Convert) -> None:
    save_head(Path("like"), build_head("separate", SIZES, width=8, num_heads=2), {})
    other = build_head("separate", replace(SIZES, num_genders=3), width=8, num_heads=2)
    torch.save(other.state_dict(), "other.pt")
    ended = convert("other.pt", "out", "--like", "like")
    assert ended.exit_code == 2
    assert "decisions.gender.weight (expected 2x8, found 3x8)" in ended.output
    assert "--like" in ended.output


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, msg=name)
