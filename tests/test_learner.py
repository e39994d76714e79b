"""Batches -> predictions, and steps: their gradient, precision, and the weights they move."""

import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from oragen.finetuning.checkpoints import Progress
from oragen.finetuning.learner import freeze_idle, keep_all_layers
from oragen.schema.vocabulary import Precision
from oragen.training.devices import make_fabric
from tests.finetuning_runs import (
    GENDER_ONLY,
    Tables,
    crops,
    make_audio_model,
    make_face_model,
    make_learner,
    sounds,
    take,
    weights_of,
    write_tables,
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return write_tables(tmp_path_factory.mktemp("stores"))


def gradients_of(model: nn.Module) -> Tensor:
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return torch.cat([gradient.flatten() for gradient in gradients])


# Predictions


def test_predictions_are_in_the_order_of_their_examples(tables: Tables) -> None:
    dev, model = crops(tables["crops_dev"]), make_face_model().eval()
    predictions = make_learner(model).predict(
        [take(dev, [2, 0]), take(dev, [1, 3, 0])], num_examples=4
    )
    with torch.inference_mode():
        expected = model(*take(dev, [0, 1, 2, 3]).inputs)
    assert predictions.mask_type is not None
    for found, wanted in (
        (predictions.gender, expected.gender_logits.softmax(-1)),
        (predictions.mask_type, expected.mask_type_logits.softmax(-1)),
        (predictions.age_years, expected.age_years),
    ):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4)


def test_an_example_without_a_prediction_is_noticed(tables: Tables) -> None:
    dev = crops(tables["crops_dev"])
    with pytest.raises(AssertionError, match="every example"):
        make_learner(make_face_model()).predict([take(dev, [0, 2])], num_examples=3)


# Steps


@pytest.mark.parametrize("sizes", [(4, 4), (4, 4, 2), (1, 7)])
def test_accumulated_batches_give_the_gradient_of_all_their_examples(
    tables: Tables, sizes: tuple[int, ...]
) -> None:
    examples, gradients, losses = crops(tables["crops_train"]), [], []
    stops = np.cumsum(sizes)
    parts = [range(stop - size, stop) for stop, size in zip(stops, sizes, strict=True)]
    for places in (parts, [range(stops[-1])]):
        model = make_face_model()
        learner = make_learner(model, task_weights=GENDER_ONLY)
        batches = [take(examples, part) for part in places]
        losses.append(learner.learn(batches, epoch=1, first_batch=0))
        gradients.append(gradients_of(model))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)
    assert gradients[0].abs().max() > 1e-3


def test_a_step_s_gradient_does_not_stay_for_the_next(tables: Tables) -> None:
    batch = take(crops(tables["crops_train"]), range(4))
    model = make_face_model()
    learner, gradients = make_learner(model, learning_rate=0.0), []
    for first_batch in (0, 1):
        learner.learn([batch], epoch=1, first_batch=first_batch)
        gradients.append(gradients_of(model).clone())
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_gradient_that_is_no_number_is_divergence_though_the_loss_is_one(tables: Tables) -> None:
    model = make_face_model()
    weight = model.get_parameter("decisions.gender.weight")
    weight.register_hook(lambda gradient: gradient * math.nan)
    learner = make_learner(model)
    loss = learner.learn([take(crops(tables["crops_train"]), range(4))], epoch=1, first_batch=0)
    assert math.isnan(loss)


def test_a_step_of_fp16_that_overflows_is_left_out_and_is_no_divergence(tables: Tables) -> None:
    """A loss scaled by 2 ** 30 has no gradient in fp16; the scale is halved and all goes on."""
    scaler = GradScaler("cpu", init_scale=2.0**30)
    precision = MixedPrecision("16-mixed", "cpu", scaler)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[precision, LightningEnvironment()])
    model = make_face_model()
    before, batch = weights_of(model).clone(), take(crops(tables["crops_train"]), range(8))
    learner = make_learner(model, fabric)
    assert math.isfinite(learner.learn([batch], epoch=1, first_batch=0))
    assert torch.equal(weights_of(model), before)
    assert scaler.get_scale() == 2.0**29
    losses = [learner.learn([batch], epoch=1, first_batch=number) for number in range(1, 40)]
    assert scaler.get_scale() < 2.0**20
    assert losses[-1] < losses[0]
    state = learner.checkpoint(Progress()).precision
    assert state["scale"] == scaler.get_scale()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_learns_about_the_same(tables: Tables, precision: Precision) -> None:
    batch = take(sounds(tables["sounds_train"]), range(8))
    losses: dict[str, list[float]] = {}
    for name in ("fp32", precision):
        model = make_audio_model()
        keep_all_layers(model)
        learner = make_learner(model, make_fabric(torch.device("cpu"), name))
        losses[name] = [learner.learn([batch], epoch=1, first_batch=n) for n in range(5)]
        assert all(weight.dtype == torch.float32 for weight in model.parameters())
    assert losses[precision] != losses["fp32"]
    assert losses[precision] == pytest.approx(losses["fp32"], rel=0.1)


# Weights that no output depends on


def test_weights_that_reach_no_output_are_found_and_frozen(tables: Tables) -> None:
    """The last norm and the pooler of a ViT; what stands for hidden steps in a wav2vec 2.0."""
    face, audio = make_face_model(), make_audio_model()
    idle = freeze_idle(face, take(crops(tables["crops_train"]), [0]))
    assert sorted(idle) == [
        f"encoder.{layer}.{kind}"
        for layer in ("layernorm", "pooler.dense")
        for kind in ("bias", "weight")
    ]
    assert freeze_idle(audio, take(sounds(tables["sounds_train"]), [0])) == [
        "encoder.masked_spec_embed"
    ]
    for model, found in ((face, idle), (audio, ["encoder.masked_spec_embed"])):
        names = [name for name, weight in model.named_parameters() if not weight.requires_grad]
        assert [name for name in names if "feature_extractor" not in name] == found
        assert all(weight.grad is None for weight in model.parameters())


def test_no_layer_is_skipped(tables: Tables) -> None:
    model = make_audio_model()
    assert model.encoder.config.layerdrop == 0.5
    keep_all_layers(model)
    assert model.encoder.config.layerdrop == 0.0
    make_learner(model).learn(
        [take(sounds(tables["sounds_train"]), range(4))], epoch=1, first_batch=0
    )
    missing = [
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None
    ]
    assert missing == []
