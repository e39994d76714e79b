"""State dicts of the published unimodal models: which load, and what of the others is named."""

import re
from typing import Any

import numpy as np
import pytest
import torch

from oragen.models.layers import sinusoidal_positions
from oragen.models.unimodal import (
    PUBLISHED,
    UnimodalAudioModel,
    build_published_model,
    infer_config,
)
from oragen.schema.errors import UserError
from tests.golden import read_json
from tests.unimodal_models import SPEECH_CONFIG, make_published, tiny_config


def test_every_published_state_dict_loads_strictly() -> None:
    for listed in read_json("unimodal_models")["models"]:
        state_dict = {entry[0]: torch.zeros(()).expand(entry[1]) for entry in listed["state_dict"]}
        for name, tensor in state_dict.items():
            if name.endswith(".pe"):
                state_dict[name] = sinusoidal_positions(*tensor.shape[1:], like=tensor)[None]
        model = build_published_model(
            listed["model"], state_dict, source=listed["peer"], encoder_config=listed["config"]
        )
        # Of what is counted there we do not keep: the age classifier, the norms that `orig` does
        # not use, and the child of audEERING's genders.
        unused = {"vit": 9 * 769}.get(PUBLISHED[listed["model"]].encoder, 0)
        unused += 4 * 1024 if len(state_dict) == 104 else 0
        unused += 1025 if listed["model"] == "AgeGenderSOTAModel" else 0
        assert count(model, trainable=False) == listed["n_params"] - unused
        if isinstance(model, UnimodalAudioModel) and "AGender" in listed["model"]:
            model.freeze_front_end()
            assert count(model, trainable=True) == listed["n_trainable"] - unused


@pytest.mark.parametrize("model", PUBLISHED)
def test_names_of_older_versions_load(model: str) -> None:
    state_dict, config = make_published(model), tiny_config(model)
    old = {old_name(name): tensor for name, tensor in state_dict.items()}
    assert old.keys() != state_dict.keys()
    loaded = [
        build_published_model(model, names, source="chimera", encoder_config=config)
        for names in (state_dict, old)
    ]
    for (name, one), other in zip(
        loaded[0].state_dict().items(), loaded[1].state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, msg=name, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("model", PUBLISHED)
def test_an_entry_that_is_missing_unknown_or_misshapen_is_named(model: str) -> None:
    state_dict = make_published(model)
    options: dict[str, Any] = {"source": "chimera", "encoder_config": tiny_config(model)}
    for name in list(state_dict)[::7] + list(state_dict)[-3:]:
        without = {key: tensor for key, tensor in state_dict.items() if key != name}
        with pytest.raises(UserError, match=f"missing: {re.escape(name)}"):
            build_published_model(model, without, **options)
        wider = {**state_dict, name: torch.zeros(*state_dict[name].shape, 2)}
        shape = "x".join(map(str, wider[name].shape))
        with pytest.raises(UserError, match=rf"shape: {re.escape(name)} \(.* found {shape}\)"):
            build_published_model(model, wider, **options)
    with pytest.raises(UserError, match=r"unknown: optimizer\.state"):
        build_published_model(model, {**state_dict, "optimizer.state": torch.zeros(1)}, **options)


def test_a_checkpoint_of_another_encoder_is_refused() -> None:
    with pytest.raises(UserError, match=r"missing: wav2vec2.* and \d+ more; unknown: hubert"):
        build_published_model(
            "AGenderAudioW2V2Model",
            make_published("AGenderAudioHuBERTModel"),
            source="chimera",
            encoder_config=SPEECH_CONFIG,
        )


def test_the_unused_norms_of_orig_load_as_orig_only() -> None:
    model, state_dict = "AGenderAudioW2V2Model", make_published("AGenderAudioW2V2Model", "orig")
    options: dict[str, Any] = {"encoder_config": SPEECH_CONFIG}
    loaded = build_published_model(model, state_dict, source="orig", **options)
    assert loaded.get_submodule("summary.pool").correction == 1
    with pytest.raises(UserError, match=r"unknown: transformer_block1\.feed_forward\.layer_norm"):
        build_published_model(model, state_dict, source="chimera", **options)


def test_stored_positions_are_checked_and_not_kept() -> None:
    model, state_dict = "AGenderAudioW2V2Model", make_published("AGenderAudioW2V2Model")
    options: dict[str, Any] = {"source": "chimera", "encoder_config": SPEECH_CONFIG}
    name = "transformer_block2.positional_encoding.pe"
    table = sinusoidal_positions(50, 32, like=torch.zeros(1))[None]
    loaded = build_published_model(model, {**state_dict, name: table.bfloat16()}, **options)
    assert not [key for key, _ in loaded.named_buffers() if key.endswith("pe")]
    with pytest.raises(UserError, match=f"{name} is not the sinusoidal table"):
        build_published_model(model, {**state_dict, name: table.flip(1)}, **options)
    with pytest.raises(UserError, match=rf"{name} \(expected 1xanyx32, found 50x32\)"):
        build_published_model(model, {**state_dict, name: table[0]}, **options)


def test_one_weight_under_two_names_is_refused() -> None:
    state_dict = make_published("AGenderAudioHuBERTModel")
    name = next(name for name in state_dict if name.endswith("original0"))
    twice = {**state_dict, old_name(name): state_dict[name]}
    with pytest.raises(UserError, match="are two names of one weight"):
        build_published_model(
            "AGenderAudioHuBERTModel", twice, source="chimera", encoder_config=SPEECH_CONFIG
        )


@pytest.mark.parametrize(
    ("model", "source", "num_weights"),
    [
        # 38 of a speech encoder without layers, 16 a layer, 24 of the blocks, 4 of the head
        ("AGenderAudioW2V2Model", "chimera", 66 + 24 * 16),
        ("AGenderAudioW2V2Model", "orig", 66 + 12 * 16),
        ("AGenderAudioHuBERTModel", "orig", 66 + 24 * 16),
        # 6 of a ViT without layers, 16 a layer, 10 of the pooling, 4 of two classifiers
        ("VIT_DPAL", "orig", 20 + 12 * 16),
    ],
)
def test_without_a_config_the_released_encoder_is_expected(
    model: str, source: Any, num_weights: int
) -> None:
    with pytest.raises(UserError, match=f"and {num_weights - 8} more"):
        build_published_model(model, {}, source=source)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UserError, match=r"'ResNet' is no published unimodal model.*VIT_GSA"):
        build_published_model("ResNet", {}, source="chimera")


@pytest.mark.parametrize(("num_genders", "rows"), [(2, [0, 1]), (3, [2, 0, 1])])
def test_three_genders_of_audeering_become_ours(num_genders: int, rows: list[int]) -> None:
    state_dict = make_published("AgeGenderSOTAModel")
    options: dict[str, Any] = {"source": "chimera", "encoder_config": SPEECH_CONFIG}
    model = build_published_model(
        "AgeGenderSOTAModel", state_dict, num_genders=num_genders, **options
    )
    weight = model.get_parameter("decisions.gender.4.weight")
    torch.testing.assert_close(weight.detach(), state_dict["gender.out_proj.weight"][rows])
    with pytest.raises(UserError, match="has 2 or 3 genders, found num_genders=4"):
        build_published_model("AgeGenderSOTAModel", state_dict, num_genders=4, **options)


def test_the_age_of_audeering_can_be_a_fraction_already() -> None:
    state_dict = make_published("AgeGenderSOTAModel")
    state_dict["age.out_proj.weight"].zero_()
    state_dict["age.out_proj.bias"].fill_(0.3)
    options: dict[str, Any] = {"source": "chimera", "encoder_config": SPEECH_CONFIG}
    waveforms = torch.randn(2, 4000)
    for as_fraction, years in ((True, 30.0), (False, 100 / (1 + np.exp(-0.3)))):
        model = build_published_model(
            "AgeGenderSOTAModel", state_dict, age_as_fraction=as_fraction, **options
        )
        torch.testing.assert_close(model(waveforms).age_years, torch.full((2,), years).float())
    with pytest.raises(UserError, match=r"VIT_GSA returns the age as a logit"):
        build_published_model(
            "VIT_GSA",
            make_published("VIT_GSA"),
            source="chimera",
            encoder_config=tiny_config("VIT_GSA"),
            age_as_fraction=True,
        )


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("VIT_GSA", {"hidden_size": "wide"}),
        ("AGenderAudioHuBERTModel", {"num_attention_heads": 5}),
        ("AGenderAudioHuBERTModel", {**SPEECH_CONFIG, "hidden_size": -3}),
    ],
)
def test_a_config_that_no_encoder_can_have_is_refused(model: str, config: Any) -> None:
    with pytest.raises(UserError, match=r"The encoder config .* is not one of a (vit|hubert)"):
        build_published_model(model, {}, source="chimera", encoder_config=config)


def test_an_encoders_sizes_show_in_its_weights() -> None:
    audio = infer_config(
        PUBLISHED["AGenderAudioW2V2Model"], make_published("AGenderAudioW2V2Model"), "chimera"
    )
    assert (audio["num_hidden_layers"], audio["hidden_size"], audio["intermediate_size"]) == (
        2,
        32,
        48,
    )
    assert audio["do_stable_layer_norm"]
    old = {old_name(name): tensor for name, tensor in make_published("VIT_DPAL").items()}
    face = infer_config(PUBLISHED["VIT_DPAL"], old, "orig")
    assert face["num_hidden_layers"] == 3
    assert face["num_labels"] == 5
    assert infer_config(PUBLISHED["VIT_DPAL"], {}, "orig") == {"num_labels": 9}


def test_attention_heads_are_taken_to_be_64_wide() -> None:
    state_dict = {"hubert.encoder.layers.0.feed_forward.intermediate_dense.weight": (3072, 768)}
    weights = {name: torch.zeros(()).expand(shape) for name, shape in state_dict.items()}
    config = infer_config(PUBLISHED["AGenderAudioHuBERTModel"], weights, "chimera")
    assert (config["num_attention_heads"], config["num_hidden_layers"]) == (12, 1)


def test_training_a_loaded_model_leaves_its_state_dict_alone() -> None:
    state_dict = make_published("VIT_GSA")
    before = {name: tensor.clone() for name, tensor in state_dict.items()}
    model = build_published_model(
        "VIT_GSA", state_dict, source="orig", encoder_config=tiny_config("VIT_GSA")
    )
    assert not model.training
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    for name, tensor in state_dict.items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def old_name(name: str) -> str:
    """What transformers 4.x and older weight norms call an entry."""
    replacements = {
        r"parametrizations\.weight\.original0": "weight_g",
        r"parametrizations\.weight\.original1": "weight_v",
        r"(vit_model\.vit)\.layers\.(\d+)\.": r"\1.encoder.layer.\2.",
        r"attention\.q_proj": "attention.attention.query",
        r"attention\.k_proj": "attention.attention.key",
        r"attention\.v_proj": "attention.attention.value",
        r"attention\.o_proj": "attention.output.dense",
        r"mlp\.fc1": "intermediate.dense",
        r"mlp\.fc2": "output.dense",
    }
    for current, old in replacements.items():
        if name.startswith("vit_model.vit.") or "original" in current:
            name = re.sub(current, old, name)
    return name


def count(model: torch.nn.Module, *, trainable: bool) -> int:
    return sum(
        weight.numel() for weight in model.parameters() if weight.requires_grad or not trainable
    )
