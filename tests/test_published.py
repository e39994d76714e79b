"""One entry point for all published models."""

import re
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oragen.models import published
from oragen.models.heads import PUBLISHED_HEADS, PublishedLevel
from oragen.models.published import PublishedFusion
from oragen.models.unimodal import UnimodalAudioModel, UnimodalFaceModel, prepare_waveforms
from oragen.schema.errors import UserError
from tests.golden import case_names, make_input, make_state_dict, read_json
from tests.published_heads import make_published_head, shapes_of_published_head
from tests.unimodal_models import make_published, tiny_config

LEVELS = get_args(PublishedLevel)
INPUTS = {
    "EARLY": ((3, 512, 199), (3, 4, 197, 768)),
    "INTERMEDIATE": ((3, 199, 1024), (3, 4, 13, 768)),
    "LATE": ((3, 256), (3, 4, 128)),
}


@pytest.mark.parametrize("case_name", case_names("fusion_models"))
def test_fusion_models_take_the_published_layouts(case_name: str) -> None:
    golden = read_json("fusion_models")
    case = next(case for case in golden["cases"] if case["case"] == case_name)
    listed = next(
        listed
        for listed in golden["models"]
        if all(listed[key] == case[key] for key in ("peer", "model", "level"))
    )
    weights = make_state_dict(listed["state_dict"])
    model = published.build(case["model"], case["level"], weights, case["peer"])
    inputs = [make_input(**case["input"][name]) for name in ("audio", "image")]
    with torch.inference_mode():
        output, alone = model(*inputs), model(*[tensor[:1] for tensor in inputs])
    found = {"gen": output.gender_logits, "age": output.age_logit, "mask": output.mask_type_logits}
    tolerance = 1e-4 if case["level"] == "EARLY" else 2e-5
    for name, expected in case["outputs"].items():
        array = np.asarray(expected)
        np.testing.assert_allclose(
            found[name].numpy().reshape(array.shape), array, rtol=1e-5, atol=tolerance
        )
    assert not model.training
    torch.testing.assert_close(alone.gender_logits, output.gender_logits[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_every_listed_model_builds_and_runs() -> None:
    for listed in [*read_json("fusion_models")["models"], *read_json("unimodal_models")["models"]]:
        name, level = listed["model"], listed.get("level")
        state_dict = {
            entry: torch.tensor(0.01).expand(shape)
            for entry, shape, *_ in listed["state_dict"]
            if not entry.endswith(".pe")
        }
        model = published.build(name, level, state_dict, listed["peer"], listed.get("config"))
        with torch.inference_mode():
            output = model(*make_inputs(model, level))
        assert output.gender_logits.shape == (1, 2)
        assert output.age_logit.shape == (1,)
        assert all(part.isfinite().all() for part in output if part is not None)
        shape = None if output.mask_type_logits is None else output.mask_type_logits.shape
        assert shape == ((1, 6) if "Mask" in name else None)


@pytest.mark.parametrize("level", ["INTERMEDIATE", "LATE"])
def test_the_deviation_in_the_pooling_is_that_of_the_source(level: PublishedLevel) -> None:
    weights = make_published_head("AVModelV1", level)
    inputs = [torch.randn(shape) for shape in INPUTS[level]]
    pools = {}
    for source in ("orig", "chimera"):
        model = published.build("AVModelV1", level, weights, source)
        assert isinstance(model, PublishedFusion)
        kept: list[Tensor] = []
        model.head.get_submodule("pool").register_forward_hook(
            lambda _module, _inputs, output, kept=kept: kept.append(output)
        )
        model(*inputs)
        pools[source] = kept[0]
    # Of both modalities together there are 8 tokens, at LATE 2: sqrt(8 / 7) and sqrt(2 / 1).
    ratio = {"INTERMEDIATE": 1.0690, "LATE": 1.4142}[level]
    torch.testing.assert_close(
        pools["orig"][:, 256:], pools["chimera"][:, 256:] * ratio, rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(pools["orig"][:, :256], pools["chimera"][:, :256])


def test_the_released_weights_are_those_of_chimera() -> None:
    weights = make_published_head("AVModelV1", "LATE")
    model = published.build("AVModelV1", "LATE", weights)
    assert isinstance(model, PublishedFusion)
    assert model.head.spec.std_correction == 0


@pytest.mark.parametrize("source", ["orig", "chimera"])
def test_a_short_window_is_normalised_as_the_source_does(source: str) -> None:
    second = np.where(np.arange(16_000) % 2, 0.5, -0.5).astype(np.float32)
    prepared = prepare_waveforms(
        [second], min_samples=64_000, order=published.waveform_order(source)
    )
    expected = {"orig": 1.0, "chimera": 2.0}[source]  # over 4 s, a quarter of it sound
    assert prepared.samples[0, 1].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("model", ["AGenderAudioW2V2Model", "AGenderImageVITDPALModel"])
def test_unimodal_models_give_their_features_too(model: str) -> None:
    config = dict(tiny_config(model))
    built = published.build(model, None, make_published(model), encoder_config=config)
    assert isinstance(built, UnimodalAudioModel | UnimodalFaceModel)
    inputs = torch.randn(2, 4000) if "Audio" in model else torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        late = built.late(inputs)
        output = built(inputs)
        assert len(built.early(inputs)) == len(built.intermediate(inputs)) == 2
        torch.testing.assert_close(output.gender_logits, built.decisions.gender(late))
    assert output.mask_type_logits is None


def test_half_precision_weights_load() -> None:
    weights = make_published_head("MaskAgenderAVModelV3", "LATE")
    halved = {name: tensor.half() for name, tensor in weights.items()}
    inputs = [torch.randn(shape) for shape in INPUTS["LATE"]]
    whole = published.build("MaskAgenderAVModelV3", "LATE", weights)(*inputs)
    half = published.build("MaskAgenderAVModelV3", "LATE", halved)(*inputs)
    torch.testing.assert_close(half.gender_logits, whole.gender_logits, rtol=0.05, atol=0.05)
    assert half.gender_logits.dtype == torch.float32


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("model", PUBLISHED_HEADS)
def test_a_level_has_its_own_weights(model: str, level: PublishedLevel) -> None:
    state_dict = {
        name: torch.zeros(()).expand(shape)
        for name, shape in shapes_of_published_head(model, level).items()
    }
    for other in set(LEVELS) - {level}:
        with pytest.raises(UserError, match=f"not the state dict of {model} at level {other}"):
            published.build(model, other, state_dict)


# ---- Refusals


@pytest.mark.parametrize(
    ("model", "level", "source", "message"),
    [
        ("AVModelV4", "LATE", "chimera", "'AVModelV4' is no published model. Did you mean"),
        ("avmodelv3", "LATE", "chimera", "Did you mean 'AVModelV3'? There are: AVModelV1, "),
        ("ResNet", None, "chimera", "'ResNet' is no published model. There are: AVModelV1"),
        ("AVModelV3", "late", "chimera", "'late' is no published level. Did you mean 'LATE'?"),
        ("AVModelV3", None, "chimera", "AVModelV3 needs the level of its features: EARLY, INTER"),
        ("VIT_GSA", "LATE", "chimera", "VIT_GSA is unimodal and has no level, found 'LATE'"),
        ("AVModelV3", "LATE", "chimaera", "'chimaera' is no published source. Did you mean 'chi"),
        ("AVModelV3", "LATE", "hub", "There are: orig, chimera"),
    ],
)
def test_a_wrong_choice_is_answered_with_the_choices(
    model: str, level: str | None, source: str, message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        published.build(model, level, {}, source)


def test_a_fusion_model_has_no_encoder_to_configure() -> None:
    with pytest.raises(UserError, match="AVModelV3 works on features"):
        published.build("AVModelV3", "LATE", {}, "orig", {"hidden_size": 12})


@pytest.mark.parametrize("level", ["INTERMEDIATE", "LATE"])
def test_features_of_another_layout_are_refused(level: PublishedLevel) -> None:
    model = published.build("AVModelV3", level, make_published_head("AVModelV3", level))
    audio, face = (torch.zeros(shape) for shape in INPUTS[level])
    text = {"INTERMEDIATE": "batch x 199 x 1024, found 3 x 1024 x 199", "LATE": "batch x 256"}[
        level
    ]
    with pytest.raises(UserError, match=f"At level {level} the audio must be {text}"):
        model(audio.transpose(1, -1) if level == "INTERMEDIATE" else audio[:, None], face)
    with pytest.raises(UserError, match=f"At level {level} the face must be batch x 4 x"):
        model(audio, face[:, :2])


def make_inputs(model: nn.Module, level: str | None) -> list[Tensor]:
    """Make one window, or one crop, as the published class takes it."""
    match model:
        case UnimodalAudioModel():
            return [torch.randn(1, 16_000)]
        case UnimodalFaceModel():
            return [torch.randn(1, 3, 224, 224)]
        case _:
            assert level is not None
            return [torch.randn(1, *shape[1:]) for shape in INPUTS[level]]
