"""The published unimodal models: their numbers, their state dicts, their files."""

import pickle
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from oragen.models.layers import sinusoidal_positions
from oragen.models.output import HeadOutput
from oragen.models.published import waveform_order
from oragen.models.unimodal import (
    PUBLISHED,
    UnimodalAudioModel,
    UnimodalFaceModel,
    build_published_model,
    infer_config,
    prepare_images,
    prepare_waveforms,
    read_checkpoint,
)
from oragen.schema.errors import UserError
from tests.golden import case_names, make_input, make_state_dict, read_arrays, read_json
from tests.unimodal_models import SPEECH_CONFIG, make_published, tiny_config

AUDIO_MODULES = {
    "transformer_block1": "summary.blocks.0",
    "block1": "summary.blocks.0",
    "transformer_block2": "summary.blocks.1",
    "block2": "summary.blocks.1",
    "stp": "summary.pool",
}


class Golden(NamedTuple):
    case: dict[str, Any]
    output: HeadOutput
    inside: dict[str, Tensor]


@pytest.fixture(scope="module", params=case_names("unimodal_models"))
def golden(request: pytest.FixtureRequest) -> Golden:
    """Run a case once, and keep what it gave and not the model."""
    content = read_json("unimodal_models")
    case = next(case for case in content["cases"] if case["case"] == request.param)
    state_dict = next(
        model["state_dict"]
        for model in content["models"]
        if (model["peer"], model["model"]) == (case["peer"], case["model"])
    )
    model = build_published_model(
        case["model"],
        make_state_dict(state_dict),
        source=case["peer"],
        encoder_config=case["config"],
    )
    inside = record(model)
    inputs = case["input"].get("audio", case["input"].get("image"))
    batch = make_input(inputs["seed"], inputs["shape"])[: inputs.get("take_first")]
    with torch.inference_mode():
        return Golden(case, model(batch), inside | {"early": model.early(batch)})


def record(model: UnimodalAudioModel | UnimodalFaceModel) -> dict[str, Tensor]:
    """Fill a dictionary with what goes in and out of the pooling when the model runs."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: found.update({name: output})

    for name, ours in AUDIO_MODULES.items():
        if ours in dict(model.named_modules()):
            model.get_submodule(ours).register_forward_hook(keep(name))
    model.summary.register_forward_pre_hook(
        lambda _module, inputs: found.update({"intermediate": inputs[0]})
    )
    for name in ("late", "features", "mean_pool"):
        model.summary.register_forward_hook(keep(name))
    return found


def test_published_models_give_the_published_numbers(golden: Golden) -> None:
    expected, atol = golden.case["outputs"], tolerance_of(golden.case)
    age = golden.output.age_logit
    if golden.case.get("age_is") == "sigmoid":  # the face models of `orig`
        age = age.sigmoid()
    gender = golden.output.gender_logits.numpy()
    np.testing.assert_allclose(gender, expected["gen"], atol=atol, rtol=1e-5)
    np.testing.assert_allclose(age.numpy(), expected["age"], atol=atol, rtol=1e-5)
    assert golden.output.mask_type_logits is None


def test_published_models_agree_inside_too(golden: Golden) -> None:
    # Of the two transformer blocks, whose attention is sharp, rounding alone makes 4e-5.
    atol = 2 * tolerance_of(golden.case)
    for name, statistics in golden.case["intermediates"].items():
        compare_statistics(golden.inside[name].numpy(), statistics, atol=atol)
    checked = 0
    for key, expected in read_arrays("unimodal_models").items():
        case_name, _, rest = key.partition("/")
        if case_name == golden.case["case"]:
            name, _, steps = rest.partition("[")
            ours = golden.inside[name].numpy()[parse_slices(steps)]
            np.testing.assert_allclose(ours, expected, atol=atol, rtol=1e-5)
            checked += 1
    assert checked


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


# ---- Files


def test_a_state_dict_comes_back_from_each_kind_of_file(tmp_path: Path) -> None:
    weights = {"fc1.weight": torch.arange(6.0).reshape(2, 3)}
    torch.save(weights, tmp_path / "plain.pt")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "nested.ckpt")
    save_file(weights, tmp_path / "new.safetensors")
    for name in ("plain.pt", "nested.ckpt", "new.safetensors"):
        found = read_checkpoint(tmp_path / name)
        assert found.keys() == weights.keys()
        torch.testing.assert_close(found["fc1.weight"], weights["fc1.weight"])


def test_a_checkpoint_that_needs_code_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Path("x"), protocol=2))
    for name in ("module.pt", "plain.pt"):
        with pytest.raises(UserError, match=r"unpickling it\s+could run any code"):
            read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("length", [0, 1, 5, 100, 1000])
def test_a_file_of_anything_is_refused(length: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(length)
    for name in ("noise.pt", "noise.safetensors"):
        for _ in range(20):
            (tmp_path / name).write_bytes(generator.bytes(length))
            with pytest.raises(UserError, match=name):
                read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["broken.pt", "broken.safetensors", "missing.pt"])
def test_a_file_that_cannot_be_read_is_refused(name: str, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "whole.pt")
    for broken in ("broken.pt", "broken.safetensors"):
        (tmp_path / broken).write_bytes((tmp_path / "whole.pt").read_bytes()[:2000])
    with pytest.raises(
        UserError,
        match=f"{name} (cannot be read as a checkpoint|is not read: its archive is damaged)",
    ):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}])
def test_a_file_without_a_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"expected a state dict|is no state dict"):
        read_checkpoint(tmp_path / "other.pt")


# ---- What goes in


@pytest.mark.parametrize("source", ["orig", "chimera"])
def test_waveforms_are_prepared_as_published(source: str) -> None:
    order = waveform_order(source)
    for case in read_json("preprocess")[source]["wav"]:
        scale, offset = re.findall(r"\*(.+)\+(.+)", case["recipe"])[0]
        noise = np.random.default_rng(801).standard_normal(case["n"]).astype(np.float32)
        waveform = noise * np.float32(scale) + np.float32(offset)
        samples = prepare_waveforms([waveform], min_samples=64_000, order=order).samples[0].numpy()
        assert list(samples.shape) == case["output"]["shape"]
        end = case["n"]
        found = {
            "head": samples[:8],
            "at_end_of_signal": samples[end - 4 : end],
            "after_signal": samples[end : end + 4],
            "tail": samples[-4:],
        }
        for place, values in found.items():
            np.testing.assert_allclose(values, case[place], atol=1e-5, rtol=1e-5)
        compare_statistics(samples, case["output"], atol=1e-5)


@pytest.mark.parametrize("source", ["orig", "chimera"])
def test_images_are_prepared_as_published(source: str) -> None:
    arrays = read_arrays("preprocess")
    for case in read_json("preprocess")[source]["image"]:
        width, height = case["width"], case["height"]
        prepared = prepare_images([make_image(case["kind"], width, height)])[0].numpy()
        compare_statistics(prepared, case["output"], atol=1e-5)
        key = f"{case['kind']}_{width}x{height}[:, ::14, ::14]"
        np.testing.assert_allclose(prepared[:, ::14, ::14], arrays[f"image/{key}"], atol=1e-5)
        np.testing.assert_allclose(prepared[:, ::14, ::14], arrays[f"image_pil/{key}"], atol=0.008)


def tolerance_of(case: dict[str, Any]) -> float:
    """As the golden README has it."""
    if "DPAL" in case["model"]:
        return 2e-3
    return 1e-4 if "GSA" in case["model"] else 5e-5


def compare_statistics(array: Any, expected: dict[str, Any], *, atol: float) -> None:
    assert list(array.shape) == expected["shape"]
    statistics = [array.mean(), array.std(), array.min(), array.max(), np.linalg.norm(array)]
    wanted = [expected[key] for key in ("mean", "std", "min", "max", "l2")]
    np.testing.assert_allclose(statistics, wanted, atol=atol, rtol=1e-5)


def parse_slices(text: str) -> tuple[slice, ...]:
    """`:, ::16, ::10]` -> slices; nothing -> all."""
    steps = [part.strip().rpartition(":")[2] for part in text.rstrip("]").split(",")]
    return tuple(slice(None, None, int(step) if step else None) for step in steps)


def make_image(kind: str, width: int, height: int) -> Any:
    if kind == "noise":
        generator = np.random.default_rng(901)
        return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    channels = [
        255 * x / (width - 1),
        255 * y / (height - 1),
        127.5 * (1 + np.sin(x / 11) * np.cos(y / 7)),
    ]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


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
