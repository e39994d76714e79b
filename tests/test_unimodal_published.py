"""The published unimodal models give the published numbers, inside too."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from oragen.models.output import HeadOutput
from oragen.models.unimodal import UnimodalAudioModel, UnimodalFaceModel, build_published_model
from tests.golden import (
    case_names,
    compare_statistics,
    make_input,
    make_state_dict,
    read_arrays,
    read_json,
)

AUDIO_MODULES = {
    "transformer_block1": "summary.blocks.0",
    "block1": "summary.blocks.0",
    "transformer_block2": "summary.blocks.1",
    "block2": "summary.blocks.1",
    "stp": "summary.pool",
}


SLOW = ("chimera_AGender", "chimera_AgeGender", "chimera_ViT_DPAL")  # seconds each; two stay quick


class Golden(NamedTuple):
    case: dict[str, Any]
    output: HeadOutput
    inside: dict[str, Tensor]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow if name.startswith(SLOW) else ())
        for name in case_names("unimodal_models")
    ],
)
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


def tolerance_of(case: dict[str, Any]) -> float:
    """As the golden README has it."""
    if "DPAL" in case["model"]:
        return 2e-3
    return 1e-4 if "GSA" in case["model"] else 5e-5


def parse_slices(text: str) -> tuple[slice, ...]:
    """`:, ::16, ::10]` -> slices; nothing -> all."""
    steps = [part.strip().rpartition(":")[2] for part in text.rstrip("]").split(",")]
    return tuple(slice(None, None, int(step) if step else None) for step in steps)
