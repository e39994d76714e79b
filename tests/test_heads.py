"""All heads: what must hold for each of them, the published numbers, and saving."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from oragen.models.heads import (
    PUBLISHED_HEADS,
    Head,
    HeadSizes,
    build_head,
    load_head,
    load_published_head,
    save_head,
    train_only_output_layers,
)
from oragen.models.output import HeadOutput
from oragen.schema.choices.heads import HeadName
from oragen.schema.errors import UserError
from oragen.training.losses import Targets, multi_task_loss
from tests.golden import case_names, make_input, make_state_dict, read_arrays, read_json
from tests.published_heads import make_published_head

NAMES = get_args(HeadName)
FLEXIBLE = ("cross_attention", "audio_only", "face_only", "concatenation", "late_fusion")
FIXED = ("shared", "separate", "joint")
BIMODAL = (*FIXED, "cross_attention", "concatenation", "late_fusion")

INTERMEDIATE = HeadSizes(
    audio_steps=9,
    audio_width=12,
    face_slots=4,
    face_layers=3,
    face_width=6,
    num_genders=2,
    num_mask_types=6,
)
LATE = replace(INTERMEDIATE, audio_steps=1, face_layers=1)
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
LEVELS = {"intermediate": INTERMEDIATE, "late": LATE}


class Features(NamedTuple):
    audio: Tensor
    audio_valid: Tensor
    face: Tensor
    face_valid: Tensor


def make_features(sizes: HeadSizes, batch: int = 5, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    audio = torch.randn(batch, sizes.audio_steps, sizes.audio_width, generator=generator)
    face_shape = (batch, sizes.face_slots, sizes.face_layers, sizes.face_width)
    face = torch.randn(face_shape, generator=generator)
    return Features(audio, all_valid(audio), face, all_valid(face))


def all_valid(states: Tensor) -> Tensor:
    return torch.ones(states.shape[:2], dtype=torch.bool)


def make_head(name: HeadName, sizes: HeadSizes = INTERMEDIATE) -> Head:
    torch.manual_seed(1)
    return build_head(name, sizes, width=16, num_heads=2).eval()


def assert_equal(found: HeadOutput, expected: HeadOutput, atol: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_ranges(name: HeadName, level: str) -> None:
    output = make_head(name, LEVELS[level])(*make_features(LEVELS[level]))
    assert output.gender_logits.shape == (5, 2)
    assert output.mask_type_logits is not None
    assert output.mask_type_logits.shape == (5, 6)
    assert output.age_logit.shape == (5,)
    assert ((output.age_years > 0) & (output.age_years < 100)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_head_without_mask_types_has_no_such_output(name: HeadName) -> None:
    sizes = replace(INTERMEDIATE, num_mask_types=0, num_genders=3)
    output = make_head(name, sizes)(*make_features(sizes))
    assert output.mask_type_logits is None
    assert output.gender_logits.shape == (5, 3)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NAMES)
def test_batch_of_one_equals_the_row_of_a_batch(name: HeadName, level: str) -> None:
    head, features = make_head(name, LEVELS[level]), make_features(LEVELS[level])
    features.face_valid[2, 1:] = False
    whole = head(*features)
    for row in range(5):
        alone = head(*[tensor[row : row + 1] for tensor in features])
        assert_equal(
            alone, HeadOutput(*[part[row : row + 1] for part in whole if part is not None])
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_padding_does_not_reach_the_output(name: HeadName, garbage: float) -> None:
    head, features = make_head(name), make_features(INTERMEDIATE)
    features.audio_valid[0, 6:] = False
    features.audio_valid[1] = False
    features.face_valid[0, 2] = False
    features.face_valid[2] = False
    clean = head(*features)
    features.audio[~features.audio_valid] = garbage
    features.face[~features.face_valid] = garbage
    assert_equal(head(*features), clean, atol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("absent", ["audio", "face", "both"])
@pytest.mark.parametrize("level", LEVELS)
def test_absent_modality_gives_finite_output_and_gradient(
    name: HeadName, absent: str, level: str
) -> None:
    head, features = make_head(name, LEVELS[level]).train(), make_features(LEVELS[level])
    features.audio_valid[1:] &= absent == "face"
    features.face_valid[1:] &= absent == "audio"
    features.audio[~features.audio_valid] = float("nan")
    features.face[~features.face_valid] = float("nan")
    output = head(*features)
    sum(part.square().sum() for part in output if part is not None).backward()  # type: ignore[union-attr]
    assert all(part.isfinite().all() for part in output if part is not None)
    gradients = [parameter.grad for parameter in head.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", BIMODAL)
def test_both_modalities_matter(name: HeadName) -> None:
    head, features = make_head(name), make_features(INTERMEDIATE)
    whole = head(*features)
    for valid in ("audio_valid", "face_valid"):
        without = features._replace(**{valid: torch.zeros_like(getattr(features, valid))})
        assert not torch.allclose(head(*without).age_logit, whole.age_logit, atol=1e-4)


@pytest.mark.parametrize(("name", "other"), [("audio_only", "face"), ("face_only", "audio")])
def test_a_unimodal_head_does_not_look_at_the_other_modality(name: HeadName, other: str) -> None:
    head, features = make_head(name), make_features(INTERMEDIATE)
    changed = features._replace(**{other: torch.randn_like(getattr(features, other))})
    assert_equal(head(*changed), head(*features), atol=0)


@pytest.mark.parametrize("name", FLEXIBLE)
def test_any_length_and_any_number_of_slots_will_do(name: HeadName) -> None:
    head = make_head(name)
    for steps, slots in ((1, 1), (37, 9)):
        features = make_features(replace(INTERMEDIATE, audio_steps=steps, face_slots=slots))
        assert head(*features).age_logit.isfinite().all()


@pytest.mark.parametrize("name", FLEXIBLE)
def test_longer_padding_changes_nothing(name: HeadName) -> None:
    head, features = make_head(name), make_features(INTERMEDIATE)
    audio = torch.cat([features.audio, torch.randn(5, 3, 12)], dim=1)
    face = torch.cat([features.face, torch.randn(5, 2, 3, 6)], dim=1)
    padded = Features(audio, torch.arange(12).lt(9).expand(5, 12), face, torch.ones(5, 6) > 0)
    padded.face_valid[:, 4:] = False
    assert_equal(head(*padded), head(*features))


@pytest.mark.parametrize("name", FIXED)
def test_a_head_of_fixed_length_refuses_other_lengths(name: HeadName) -> None:
    features = make_features(replace(INTERMEDIATE, audio_steps=8))
    with pytest.raises(ValueError, match=r"built for features of .* \[9, 4, 12, 3, 6\].*\[8, 4"):
        make_head(name)(*features)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("changed", ["audio_width", "face_layers", "face_width"])
def test_features_of_another_encoder_are_refused(name: HeadName, changed: str) -> None:
    features = make_features(replace(INTERMEDIATE, **{changed: 2}))
    with pytest.raises(ValueError, match="built for features of"):
        make_head(name)(*features)


@pytest.mark.parametrize("name", FIXED)
def test_absent_slots_repeat_the_last_crop(name: HeadName) -> None:
    head, features = make_head(name), make_features(INTERMEDIATE)
    features.face_valid[:, 2:] = False
    repeated = features.face.clone()
    repeated[:, 2:] = features.face[:, 1:2]
    expected = head(features.audio, features.audio_valid, repeated, all_valid(repeated))
    assert_equal(head(*features), expected)


@pytest.mark.parametrize("name", FIXED)
def test_an_absent_modality_is_zeros_to_the_published_heads(name: HeadName) -> None:
    head, features = make_head(name), make_features(INTERMEDIATE)
    zeros = features._replace(face=torch.zeros_like(features.face))
    absent = features._replace(face_valid=torch.zeros_like(features.face_valid))
    assert_equal(head(*absent), head(*zeros))


@pytest.mark.parametrize("name", NAMES)
def test_a_head_learns_two_windows_by_heart(name: HeadName) -> None:
    torch.manual_seed(0)
    head = build_head(name, INTERMEDIATE, width=16, num_heads=2, dropout=0.0)
    features = make_features(INTERMEDIATE, batch=2)
    targets = Targets(torch.tensor([0, 1]), torch.tensor([5, 2]), torch.tensor([20.0, 70.0]))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    before = multi_task_loss(head(*features), targets)
    for _ in range(20):
        optimizer.zero_grad()
        multi_task_loss(head(*features), targets).total.backward()
        optimizer.step()
    after = multi_task_loss(head(*features), targets)
    assert all(late < 0.5 * early for early, late in zip(before, after, strict=True))


def test_late_fusion_is_the_mean_of_the_probabilities_that_are_there() -> None:
    head, features = make_head("late_fusion"), make_features(INTERMEDIATE, batch=3)
    features.audio_valid[1] = False
    features.face_valid[2] = False
    audio, face = (head.get_submodule(part)(*features) for part in ("audio_head", "face_head"))
    fused = head(*features)
    both = (audio.gender_logits.softmax(dim=1) + face.gender_logits.softmax(dim=1)) / 2
    years = (audio.age_years + face.age_years) / 2
    torch.testing.assert_close(fused.gender_logits[0].softmax(dim=0), both[0])
    torch.testing.assert_close(fused.age_years[0], years[0])
    torch.testing.assert_close(fused.age_years[1], face.age_years[1])
    torch.testing.assert_close(fused.age_years[2], audio.age_years[2])


def test_age_years_by_hand() -> None:
    output = HeadOutput(torch.zeros(2, 2), torch.tensor([0.0, -1e9]), None)
    assert output.age_years.tolist() == [50.0, 0.0]


@pytest.mark.parametrize("size", ["audio_steps", "face_width", "num_genders"])
def test_impossible_sizes_are_refused(size: str) -> None:
    with pytest.raises(ValueError, match=rf"HeadSizes\.{size} must be at least \d, found 0"):
        replace(INTERMEDIATE, **{size: 0})


# ---- Saving


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


# ---- The published models


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
