"""The published fusion models: their numbers, their state dicts, what of them is trained."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oragen.models.heads import PUBLISHED_HEADS, Head, load_published_head, train_only_output_layers
from oragen.schema.errors import UserError
from tests.golden import case_names, make_input, make_state_dict, read_arrays, read_json
from tests.published_heads import make_published_head
from tests.small_heads import Features, all_valid, make_head

PUBLISHED_MODULES = {
    "downsampling_a": "audio_tokens",
    "downsampling_v": "face_tokens",
    "mtcma_av": "audio_to_face",
    "mtcma_va": "face_to_audio",
    "gender_branch": "gender_branch",
    "age_branch": "age_branch",
    "stp": "pool",
    "fc": "trunk.0",
}


@pytest.mark.parametrize("case_name", case_names("fusion_models"))
def test_published_heads_give_the_published_numbers(case_name: str) -> None:
    golden = read_json("fusion_models")
    case = next(case for case in golden["cases"] if case["case"] == case_name)
    head = load_golden_head(case)
    features = golden_features(case)
    with torch.inference_mode():
        output = head(*features)
        alone = head(*[tensor[:1] for tensor in features])
    tolerance = 1e-4 if case["level"] == "EARLY" else 2e-5
    found = {"gen": output.gender_logits, "age": output.age_logit, "mask": output.mask_type_logits}
    for name, expected in case["outputs"].items():
        compare(found[name], expected, tolerance)
    assert (output.mask_type_logits is None) == ("mask" not in case["outputs"])
    torch.testing.assert_close(alone.age_logit, output.age_logit[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("case_name", case_names("fusion_models"))
def test_published_heads_agree_inside_too(case_name: str) -> None:
    arrays = read_arrays("fusion_models")
    cases = read_json("fusion_models")["cases"]
    case = next(case for case in cases if case["case"] == case_name)
    found = outputs_inside(load_golden_head(case), golden_features(case))
    for name, statistics in case["intermediates"].items():
        if name not in PUBLISHED_MODULES or PUBLISHED_MODULES[name] not in found:
            continue
        ours = found[PUBLISHED_MODULES[name]]
        actual = [ours.mean(), ours.std(correction=0), ours.min(), ours.max(), ours.norm()]
        expected = [statistics[key] for key in ("mean", "std", "min", "max", "l2")]
        np.testing.assert_allclose(np.array(actual), expected, rtol=1e-5, atol=1e-4)
        array = arrays.get(f"{case_name}/{name}")
        if array is not None and array.shape == ours.shape:
            # one order of summing 9984 products against another: 6e-5
            np.testing.assert_allclose(ours.numpy(), array, rtol=1e-5, atol=1e-4)


def test_every_published_state_dict_loads_strictly() -> None:
    for model in read_json("fusion_models")["models"]:
        if model["level"] == "EARLY":  # 118 million numbers; one of them is a case above
            continue
        head = load_golden_head(model)
        assert sum(weight.numel() for weight in head.parameters()) == model["n_params"]


def test_a_published_mask_model_trains_as_few_weights_as_published() -> None:
    for model in read_json("fusion_models")["models"]:
        if model["model"] == "MaskAgenderAVModelV1" and model["level"] == "LATE":
            head = load_golden_head(model)
            train_only_output_layers(head, {"mask_type"})
            assert count_trainable(head) == model["n_trainable"] == 6 * 257
            train_only_output_layers(head, {"gender", "age", "mask_type"})
            assert count_trainable(head) == (2 + 1 + 6) * 257


def test_late_fusion_freezes_both_heads_but_their_output_layers() -> None:
    head = make_head("late_fusion")
    train_only_output_layers(head, {"age"})
    assert count_trainable(head) == 2 * 17


@pytest.mark.parametrize("model", PUBLISHED_HEADS)
def test_an_entry_that_is_missing_unknown_or_misshapen_is_named(model: str) -> None:
    published = make_published_head(model, "LATE")
    for name in list(published)[::5] + list(published)[-2:]:
        without = {key: tensor for key, tensor in published.items() if key != name}
        with pytest.raises(UserError, match=f"missing: {re.escape(name)}"):
            load_published_head(model, "LATE", without, std_correction=0)
        wider = {**published, name: torch.zeros(*published[name].shape, 2)}
        shape = "x".join(map(str, wider[name].shape))
        with pytest.raises(UserError, match=rf"shape: {re.escape(name)} \(.* found {shape}\)"):
            load_published_head(model, "LATE", wider, std_correction=0)
    with pytest.raises(UserError, match=r"unknown: mtcma_av\.norm_x\.weight"):
        load_published_head(
            model,
            "LATE",
            {**published, "mtcma_av.norm_x.weight": torch.zeros(1)},
            std_correction=0,
        )


def test_the_last_row_of_a_joint_output_layer_is_the_age() -> None:
    published = make_published_head("AVModelV3", "LATE")
    published["cl_head.fc_agender.bias"] = torch.tensor([1.0, 2.0, 3.0])
    head = load_published_head("AVModelV3", "LATE", published, std_correction=0)
    assert head.get_parameter("decisions.gender.bias").tolist() == [1.0, 2.0]
    assert head.get_parameter("decisions.age.bias").tolist() == [3.0]


def test_training_a_loaded_head_leaves_its_state_dict_alone() -> None:
    published = make_published_head("MaskAgenderAVModelV1", "LATE")
    before = {name: tensor.clone() for name, tensor in published.items()}
    head = load_published_head("MaskAgenderAVModelV1", "LATE", published, std_correction=0)
    assert not head.training
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(1.0)
    for name, tensor in published.items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def load_golden_head(case: dict[str, Any]) -> Head:
    models = read_json("fusion_models")["models"]
    keys = ("peer", "model", "level")
    model = next(model for model in models if [model[k] for k in keys] == [case[k] for k in keys])
    weights = make_state_dict(model["state_dict"])
    return load_published_head(
        case["model"],
        case["level"],
        weights,
        std_correction=1 if case["peer"] == "orig" else 0,
    )


def outputs_inside(head: Head, features: Features) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, module in head.named_modules():
        if name in PUBLISHED_MODULES.values():
            module.register_forward_hook(
                lambda _module, _inputs, output, name=name: found.update({name: output})
            )
    with torch.inference_mode():
        head(*features)
    return found


def golden_features(case: dict[str, Any]) -> Features:
    """Published axes -> ours: audio is width x steps at EARLY, a vector at LATE."""
    audio, face = (make_input(**case["input"][name]) for name in ("audio", "image"))
    match case["level"]:
        case "EARLY":
            audio = audio.transpose(1, 2)
        case "LATE":
            audio, face = audio[:, None], face[:, :, None]
    return Features(audio, all_valid(audio), face, all_valid(face))


def compare(found: Tensor | None, expected: Any, atol: float) -> None:
    assert found is not None
    array = np.asarray(expected)
    np.testing.assert_allclose(found.numpy().reshape(array.shape), array, rtol=1e-5, atol=atol)


def count_trainable(head: Head) -> int:
    return sum(weight.numel() for weight in head.parameters() if weight.requires_grad)
