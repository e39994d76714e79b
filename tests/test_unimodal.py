"""Unimodal models: what must hold for each of them, and the published numbers."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from oragen.models.output import HeadOutput
from oragen.models.unimodal import UnimodalAudioModel, UnimodalFaceModel, prepare_waveforms
from oragen.training.losses import Targets, multi_task_loss
from tests.unimodal_models import (
    make_audio_model,
    make_face_model,
)

SPEECH_ENCODERS = ("wav2vec2", "wav2vec2-base", "hubert", "wavlm", "data2vec")
AUDIO_POOLINGS = ("transformer", "mean")
# WavLM hands torch a mask of another type than torch would have; transformers' own affair.
MISMATCHED_MASKS = "ignore:Support for mismatched key_padding_mask:UserWarning"
FACE_POOLINGS = ("self_attention", "gated")
NAN = float("nan")
VARIANTS = [
    *[("face", "vit", pooling) for pooling in FACE_POOLINGS],
    *[("audio", encoder, pooling) for encoder in SPEECH_ENCODERS for pooling in AUDIO_POOLINGS],
]


class Subject(NamedTuple):
    model: UnimodalAudioModel | UnimodalFaceModel
    inputs: Tensor


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join(variant[1:]))
def subject(request: pytest.FixtureRequest) -> Subject:
    return make_subject(request.param)


def make_subject(variant: tuple[str, str, Any], **options: Any) -> Subject:
    modality, encoder, pooling = variant
    if modality == "audio":
        return Subject(make_audio_model(encoder, pooling, **options), make_waveforms())
    generator = torch.Generator().manual_seed(7)
    images = torch.randn(3, 3, 32, 32, generator=generator)
    return Subject(make_face_model(pooling, **options), images)


def make_waveforms(batch: int = 3, num_samples: int = 4000) -> Tensor:
    return torch.randn(batch, num_samples, generator=torch.Generator().manual_seed(6))


def assert_equal(found: HeadOutput, expected: HeadOutput) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


# ---- Any model


@pytest.mark.parametrize("variant", VARIANTS[::3])
def test_classes_are_as_many_as_asked(variant: tuple[str, str, str]) -> None:
    model, inputs = make_subject(variant, num_genders=3, num_mask_types=6)
    output = model(inputs)
    assert output.mask_type_logits is not None
    assert output.gender_logits.shape == (3, 3)
    assert output.mask_type_logits.shape == (3, 6)
    assert output.age_logit.shape == (3,)
    assert ((output.age_years > 0) & (output.age_years < 100)).all()


def test_without_mask_types_there_is_no_such_output(subject: Subject) -> None:
    assert subject.model(subject.inputs).mask_type_logits is None


def test_batch_of_one_equals_the_row_of_a_batch(subject: Subject) -> None:
    whole = subject.model(subject.inputs)
    for row in range(3):
        alone = subject.model(subject.inputs[row : row + 1])
        assert_equal(
            alone,
            HeadOutput(whole.gender_logits[[row]], whole.age_logit[[row]], None),
        )


def test_permuting_the_batch_permutes_the_output(subject: Subject) -> None:
    order = torch.tensor([2, 0, 1])
    whole, permuted = subject.model(subject.inputs), subject.model(subject.inputs[order])
    assert_equal(permuted, HeadOutput(whole.gender_logits[order], whole.age_logit[order], None))
    assert not torch.allclose(permuted.age_logit, whole.age_logit, atol=1e-4)


def test_the_output_is_that_of_the_late_features(subject: Subject) -> None:
    late = subject.model.late(subject.inputs)
    assert_equal(subject.model.decisions(late), subject.model(subject.inputs))


def test_gradients_reach_all_that_is_trained(subject: Subject) -> None:
    subject.model.train()
    output = subject.model(subject.inputs)
    (output.gender_logits.square().sum() + output.age_logit.square().sum()).backward()
    without = {name for name, weight in subject.model.named_parameters() if weight.grad is None}
    # The hidden states of a ViT are those before its last norm.
    assert without <= {"encoder.layernorm.weight", "encoder.layernorm.bias"}


def test_a_model_learns_three_inputs_by_heart(subject: Subject) -> None:
    for layer in subject.model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    targets = Targets(
        torch.tensor([0, 1, 1]), torch.tensor([-1, -1, -1]), torch.tensor([20.0, 70.0, NAN])
    )
    optimizer = torch.optim.Adam(subject.model.parameters(), lr=0.003)
    before = multi_task_loss(subject.model(subject.inputs), targets).total
    for _ in range(15):
        optimizer.zero_grad()
        multi_task_loss(subject.model(subject.inputs), targets).total.backward()
        optimizer.step()
    assert multi_task_loss(subject.model(subject.inputs), targets).total < 0.5 * before


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_reduced_precision_gives_nearly_the_same(subject: Subject, precision: torch.dtype) -> None:
    exact = subject.model(subject.inputs)
    with torch.autocast("cpu", precision):
        output = subject.model(subject.inputs)
    torch.testing.assert_close(output.age_logit.float(), exact.age_logit, rtol=0, atol=0.1)


def test_impossible_numbers_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 genders and 0 mask types, found 1 and 0"):
        make_face_model(num_genders=1)


# ---- Audio


@pytest.mark.parametrize("encoder", SPEECH_ENCODERS)
def test_audio_features_of_every_level(encoder: str) -> None:
    model, waveforms = make_audio_model(encoder), make_waveforms(num_samples=64_000)
    # 4 s at a step every 20 ms, less what the convolutions need at the end
    assert model.early(waveforms).shape == (3, 16, 199)
    assert model.intermediate(waveforms).shape == (3, 199, 32)
    assert model.late(waveforms).shape == (3, 256)
    assert make_audio_model(encoder, "mean").late(waveforms).shape == (3, 32)


@pytest.mark.filterwarnings(MISMATCHED_MASKS)
@pytest.mark.parametrize("pooling", AUDIO_POOLINGS)
@pytest.mark.parametrize("encoder", SPEECH_ENCODERS)
def test_padding_does_not_reach_the_output(encoder: str, pooling: Any) -> None:
    model, waveforms = make_audio_model(encoder, pooling), make_waveforms()
    expected = model(waveforms)
    longer = torch.cat([waveforms, torch.full((3, 1500), NAN)], dim=1)
    valid = torch.arange(5500).lt(4000).expand(3, 5500)
    assert_equal(model(longer, valid), expected)
    shorter = model(waveforms[:1, :2000])
    lengths = torch.tensor([2000, 5500, 4000])
    mixed = model(longer.nan_to_num(0.5), torch.arange(5500) < lengths[:, None])
    assert_equal(HeadOutput(mixed.gender_logits[:1], mixed.age_logit[:1], None), shorter)
    torch.testing.assert_close(mixed.age_logit[2], expected.age_logit[2], rtol=1e-4, atol=2e-5)


@pytest.mark.filterwarnings(MISMATCHED_MASKS)
@pytest.mark.parametrize("encoder", SPEECH_ENCODERS)
def test_what_stands_in_the_padding_does_not_matter(encoder: str) -> None:
    model, waveforms = make_audio_model(encoder), make_waveforms()
    valid = torch.arange(4000) < torch.tensor([1500, 4000, 0])[:, None]
    clean = model(waveforms.where(valid, 0.0), valid)
    assert_equal(model(waveforms.where(valid, NAN), valid), clean)
    assert all(part.isfinite().all() for part in clean if part is not None)


@pytest.mark.parametrize("encoder", ["wav2vec2-base", "data2vec"])
def test_a_short_window_is_trained_beside_a_long_one(encoder: str) -> None:
    """Alone it has 2 steps, and training hides 10 at a time."""
    model = make_audio_model(encoder).train()
    model.encoder.config.mask_time_prob = 0.5
    model.encoder.masked_spec_embed = torch.nn.Parameter(torch.zeros(32))
    valid = torch.arange(6000) < torch.tensor([1000, 6000])[:, None]
    model(make_waveforms(2, 6000), valid).age_logit.sum().backward()


@pytest.mark.parametrize(
    ("num_valid", "num_steps"), [(0, 1), (400, 1), (719, 1), (720, 2), (4000, 12)]
)
def test_steps_that_are_made_of_real_samples(num_valid: int, num_steps: int) -> None:
    # a step is made of 400 samples, the next one starts 320 later
    valid = torch.arange(4000)[None] < num_valid
    steps_valid = make_audio_model().steps_valid(valid)
    assert steps_valid.tolist() == [[True] * num_steps + [False] * (12 - num_steps)]


def test_a_waveform_without_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 400 samples for this encoder, found 399"):
        make_audio_model()(make_waveforms(num_samples=399))


@pytest.mark.parametrize("encoder", SPEECH_ENCODERS)
def test_a_frozen_front_end_gets_no_gradient(encoder: str) -> None:
    model = make_audio_model(encoder).train()
    model.freeze_front_end()
    model(make_waveforms()).age_logit.sum().backward()
    for name, weight in model.named_parameters():
        if "gender" not in name:
            assert (weight.grad is None) == name.startswith("encoder.feature_extractor."), name


def test_an_age_as_a_fraction_becomes_a_logit() -> None:
    logit = make_audio_model(pooling="mean")
    fraction = make_audio_model(pooling="mean", age_as_fraction=True)
    fraction.load_state_dict(logit.state_dict())
    for model in (logit, fraction):
        torch.nn.init.zeros_(model.get_parameter("decisions.age.4.weight"))
        torch.nn.init.constant_(model.get_parameter("decisions.age.4.bias"), 0.25)
    assert logit(make_waveforms()).age_logit.tolist() == [0.25] * 3
    torch.testing.assert_close(fraction(make_waveforms()).age_years, torch.full((3,), 25.0))


# ---- Face


@pytest.mark.parametrize("pooling", FACE_POOLINGS)
def test_face_features_of_every_level(pooling: Any) -> None:
    model, images = make_face_model(pooling), torch.randn(2, 3, 32, 32)
    # 4 x 4 patches and CLS; the embeddings and 3 layers
    assert model.early(images).shape == (2, 17, 24)
    assert model.intermediate(images).shape == (2, 4, 24)
    assert model.late(images).shape == (2, 128)
    torch.testing.assert_close(model.intermediate(images)[:, 0], model.early(images)[:, 0])


# ---- What goes in


def test_a_waveform_is_normalised_over_its_real_samples_only() -> None:
    # mean 0.3, deviation 0.1
    samples, valid = prepare_waveforms(
        [np.array([0.2, 0.4], np.float32), np.full(4, 0.5, np.float32)], min_samples=3
    )
    expected = torch.tensor([[-1.0, 1.0, 0.0, 0.0], [0.0] * 4])
    torch.testing.assert_close(samples, expected, atol=1e-5, rtol=0)
    assert valid.tolist() == [[True, True, False, False], [True] * 4]


def test_padding_first_takes_part_in_the_normalisation() -> None:
    # 0.2, 0.4, 0, 0: mean 0.15, variance 0.0275
    samples, valid = prepare_waveforms(
        [np.array([0.2, 0.4], np.float32)], min_samples=4, order="pad_then_normalise"
    )
    expected = (torch.tensor([[0.2, 0.4, 0.0, 0.0]]) - 0.15) / 0.0275**0.5
    torch.testing.assert_close(samples, expected, atol=1e-5, rtol=1e-5)
    assert valid.tolist() == [[True, True, False, False]]


def test_a_waveform_without_samples_becomes_zeros() -> None:
    samples, valid = prepare_waveforms([np.zeros(0, np.float32)], min_samples=3)
    assert samples.tolist() == [[0.0] * 3]
    assert not valid.any()
