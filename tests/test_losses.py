"""The losses against published numbers, and where those are not finite."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oragen.models.output import HeadOutput
from oragen.schema.vocabulary import UNKNOWN_LABEL
from oragen.training.losses import (
    Targets,
    TaskWeights,
    ccc_loss,
    class_weights,
    known_age_loss,
    known_cross_entropy,
    multi_task_loss,
)
from tests.golden import read_json

DENOMINATOR_EPSILON = {"chimera": 1e-8, "orig": 0.0}
# Near-constant vectors differ by the rounding of their mean; elsewhere gradients agree to 1e-6.
LOOSE_GRADIENTS = {"nearly constant x": 1e-2, "tiny variance both": 1e-3}


@pytest.mark.parametrize("peer", ["chimera", "orig"])
def test_ccc_loss_equals_the_published_value_where_that_is_finite(peer: str) -> None:
    losses = read_json("functions")["ccc_loss"]
    for case, inputs in zip(losses[peer], losses["chimera"], strict=True):
        for kind, dtype in {"loss_fp32": torch.float32, "loss_fp64": torch.float64}.items():
            loss, _ = _ccc_with_gradient(inputs["x"], inputs["y"], peer, dtype)
            assert math.isfinite(loss)
            if case[kind] is not None:
                assert loss == pytest.approx(case[kind], abs=1e-5), case["name"]


@pytest.mark.parametrize("peer", ["chimera", "orig"])
def test_ccc_gradient_equals_the_published_one_where_that_is_finite(peer: str) -> None:
    losses = read_json("functions")["ccc_loss"]
    for case, inputs in zip(losses[peer], losses["chimera"], strict=True):
        _, gradient = _ccc_with_gradient(inputs["x"], inputs["y"], peer, torch.float32)
        assert gradient.isfinite().all()
        if None not in case["grad_fp32"]:
            rtol = LOOSE_GRADIENTS.get(case["name"], 1e-5)
            expected = torch.tensor(case["grad_fp32"])
            torch.testing.assert_close(gradient, expected, rtol=rtol, atol=1e-6)


def test_ccc_loss_by_hand() -> None:
    # means 1 and 2, variances 2/3, covariance 2/3: 1 - (2 * 2/3) / (4/3 + 1) = 3/7
    predicted, target = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])
    assert ccc_loss(predicted, target).item() == pytest.approx(3 / 7, abs=1e-6)


@pytest.mark.parametrize("peer", ["chimera", "orig"])
def test_multi_task_loss_equals_the_published_one(peer: str) -> None:
    golden = read_json("functions")["losses"]
    inputs = golden["inputs"]
    output = HeadOutput(
        gender_logits=torch.tensor(inputs["gender_logits"]),
        age_logit=torch.tensor(inputs["age_logits"]),
        mask_type_logits=torch.tensor(inputs["mask_logits"]),
    )
    ages = 100 * torch.tensor(inputs["age"])
    targets = Targets(torch.tensor(inputs["gender"]), torch.tensor(inputs["mask"]), ages)
    for case in golden[peer]:
        for mask_alpha, name in ((0.0, "agender_loss"), (case["mask_alpha"], "mask_agender_loss")):
            alphas = (case["gender_alpha"], mask_alpha, case["age_alpha"])
            losses = multi_task_loss(
                output,
                targets,
                task_weights=TaskWeights(*map(float, alphas)),
                gender_weights=_tensor(case["gender_weights"]),
                mask_type_weights=_tensor(case["mask_weights"]),
            )
            assert losses.total.item() == pytest.approx(case[name], abs=1e-5)


def test_unknown_labels_do_not_take_part() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 5.0], [0.0, 0.0]])
    some = known_cross_entropy(logits, torch.tensor([0, UNKNOWN_LABEL, 1]))
    assert some.item() == pytest.approx((math.log(1 + math.exp(-2)) + math.log(2)) / 2)


def test_unknown_ages_do_not_take_part() -> None:
    ages = torch.tensor([20.0, 60.0, float("nan"), 40.0])
    logits = torch.tensor([-1.0, 0.5, 9.0, 0.1])
    known = [0, 1, 3]
    assert known_age_loss(logits, ages) == known_age_loss(logits[known], ages[known])


def test_a_task_without_labels_gives_exactly_zero_and_no_gradient() -> None:
    logits = [torch.randn(4, 2), torch.randn(4), torch.randn(4, 6)]
    output = HeadOutput(*[tensor.requires_grad_() for tensor in logits])
    unknown = torch.full((4,), UNKNOWN_LABEL)
    losses = multi_task_loss(output, Targets(unknown, unknown, torch.full((4,), float("nan"))))
    losses.total.backward()
    assert [loss.item() for loss in losses] == [0, 0, 0, 0]
    for tensor in logits:
        assert tensor.grad is not None
        assert tensor.grad.eq(0).all()


def test_a_head_without_mask_type_has_no_mask_type_loss() -> None:
    output = HeadOutput(torch.zeros(2, 2), torch.zeros(2), None)
    targets = Targets(torch.tensor([0, 1]), torch.tensor([3, 3]), torch.tensor([20.0, 30.0]))
    losses = multi_task_loss(output, targets)
    assert losses.mask_type == 0
    assert losses.gender.item() == pytest.approx(math.log(2))


def test_labels_of_weightless_classes_give_zero_not_nan() -> None:
    loss = known_cross_entropy(torch.zeros(2, 2), torch.tensor([0, 0]), torch.tensor([0.0, 1.0]))
    assert loss == 0


def test_an_output_in_half_precision_has_a_finite_loss() -> None:
    output = HeadOutput(torch.zeros(2, 2).half(), torch.zeros(2).half(), None)
    targets = Targets(torch.tensor([0, 1]), torch.tensor([-1, -1]), torch.tensor([20.0, 80.0]))
    assert multi_task_loss(output, targets).total.isfinite()


@pytest.mark.parametrize(("peer", "rule"), [("chimera", "inverse"), ("orig", "paper")])
def test_class_weights_equal_the_published_ones(peer: str, rule: Any) -> None:
    for case in read_json("functions")["class_weights"][peer]:
        weights = class_weights(case["counts"], rule=rule)
        np.testing.assert_allclose(weights.numpy(), case["weights"], rtol=1e-6)


@pytest.mark.parametrize("rule", ["inverse", "paper"])
def test_class_weights_without_any_label_are_finite(rule: Any) -> None:
    assert class_weights([0, 0], rule=rule).isfinite().all()


def _ccc_with_gradient(
    x: list[float], y: list[float], peer: str, dtype: torch.dtype
) -> tuple[float, Tensor]:
    predicted = torch.tensor(x, dtype=dtype, requires_grad=True)
    target = torch.tensor(y, dtype=dtype)
    loss = ccc_loss(predicted, target, denominator_epsilon=DENOMINATOR_EPSILON[peer])
    (gradient,) = torch.autograd.grad(loss, predicted)
    return loss.item(), gradient


def _tensor(numbers: list[float] | None) -> Tensor | None:
    return None if numbers is None else torch.tensor(numbers)
