"""All heads: what must hold for each of them."""

from dataclasses import replace

import pytest
import torch

from oragen.models.heads import build_head
from oragen.models.output import HeadOutput
from oragen.schema.choices.heads import HeadName
from oragen.training.losses import Targets, multi_task_loss
from tests.small_heads import (
    INTERMEDIATE,
    LEVELS,
    NAMES,
    Features,
    all_valid,
    assert_equal,
    make_features,
    make_head,
)

FLEXIBLE = (
    "cross_attention", "audio_only", "face_only", "concatenation", "late_fusion", "frozen_probe",
)  # fmt: skip
FIXED = ("shared", "separate", "joint")
BIMODAL = (*FIXED, "cross_attention", "concatenation", "late_fusion", "frozen_probe")


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


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("audio_only", "face"), ("face_only", "audio"),
        ("frozen_probe_audio", "face"), ("frozen_probe_face", "audio"),
    ],
)  # fmt: skip
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


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("frozen_probe")])
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
