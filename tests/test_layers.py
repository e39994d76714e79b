"""The small neural pieces, on numbers worked out by hand."""

import math

import pytest
import torch

from oragen.models.layers import (
    CrossModalAttention,
    MultiHeadAttention,
    PerLayerNorm,
    StatisticsPooling,
    TokenResampling,
    drop_modality,
    hide_invalid,
    repeat_last_valid,
    sinusoidal_positions,
)

NAN = float("nan")


def test_attention_takes_contexts_of_any_length() -> None:
    attention = MultiHeadAttention(8, num_heads=2)
    context = torch.randn(3, 7, 8)
    assert attention(torch.randn(3, 2, 8), context, context).shape == (3, 2, 8)


def test_attention_to_one_valid_token_returns_its_value() -> None:
    attention = MultiHeadAttention(4, num_heads=2)
    context = torch.randn(1, 3, 4)
    valid = torch.tensor([[False, True, False]])
    found = attention(torch.randn(1, 2, 4), context, context, valid)
    expected = attention.to_output(attention.to_value(context[:, 1]))
    torch.testing.assert_close(found, expected[:, None].expand(1, 2, 4))


def test_attention_of_one_head_by_hand() -> None:
    attention = MultiHeadAttention(1, num_heads=1)
    for layer in (attention.to_query, attention.to_key, attention.to_value, attention.to_output):
        torch.nn.init.ones_(layer.weight)
    keys, values = torch.tensor([[[0.0], [math.log(3)]]]), torch.tensor([[[0.0], [8.0]]])
    # scores 0 and log 3, so shares 1/4 and 3/4 of the values 0 and 8
    found = attention(torch.ones(1, 1, 1), keys, values)
    torch.testing.assert_close(found, torch.tensor([[[6.0]]]))


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width \(6\) must be divisible by num_heads \(4\)"):
        MultiHeadAttention(6, num_heads=4)


def test_cross_modal_attention_projects_widths_only_when_told() -> None:
    sizes = {"query_width": 6, "context_width": 10, "width": 8, "mlp_width": 4, "num_heads": 2}
    attention = CrossModalAttention(**sizes, project_inputs=True, dropout=0.0)
    assert attention(torch.randn(2, 3, 6), torch.randn(2, 5, 10)).shape == (2, 3, 8)
    with pytest.raises(ValueError, match="Without a projection"):
        CrossModalAttention(**sizes, project_inputs=False, dropout=0.0)


@pytest.mark.parametrize(("correction", "deviation"), [(0, 1.0), (1, math.sqrt(2))])
def test_pooling_by_hand(correction: int, deviation: float) -> None:
    tokens = torch.tensor([[[1.0], [3.0]]])
    pooled = StatisticsPooling(correction)(tokens)
    torch.testing.assert_close(pooled, torch.tensor([[2.0, deviation]]))


def test_pooling_sees_valid_tokens_only() -> None:
    tokens = torch.tensor([[[1.0], [NAN], [3.0]]])
    pooled = StatisticsPooling()(tokens, torch.tensor([[True, False, True]]))
    torch.testing.assert_close(pooled, torch.tensor([[2.0, 1.0]]))


@pytest.mark.parametrize("valid", [[False, False], [True, False], [True, True]])
@pytest.mark.parametrize("correction", [0, 1])
def test_pooling_of_few_or_equal_tokens_is_finite(valid: list[bool], correction: int) -> None:
    tokens = torch.ones(1, 2, 3, requires_grad=True)
    pooled = StatisticsPooling(correction)(tokens, torch.tensor([valid]))
    (gradient,) = torch.autograd.grad(pooled.sum(), tokens)
    assert pooled.isfinite().all()
    assert gradient.isfinite().all()


def test_resampling_has_no_weights_where_sizes_stay() -> None:
    same = TokenResampling(length=4, num_tokens=4, width=8, width_out=8)
    assert not list(same.parameters())
    fewer = TokenResampling(length=9, num_tokens=4, width=8, width_out=6)
    assert fewer(torch.randn(1, 9, 8)).shape == (1, 4, 6)


def test_each_encoder_layer_is_normalised_alone() -> None:
    states = torch.tensor([[1.0, -1.0], [300.0, 100.0]])
    norm = PerLayerNorm(2, 2)
    torch.testing.assert_close(norm(states), torch.tensor([[1.0, -1.0], [1.0, -1.0]]))


def test_positions_differ_and_start_at_sine_zero() -> None:
    places = sinusoidal_positions(50, 4, like=torch.zeros(1))
    torch.testing.assert_close(places[0], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    torch.testing.assert_close(places[1, :2], torch.tensor([math.sin(1), math.cos(1)]))
    assert torch.cdist(places, places).fill_diagonal_(1).min() > 0.01


def test_hidden_positions_are_zeros_even_when_nan() -> None:
    states = torch.tensor([[[NAN], [2.0]]])
    hidden = hide_invalid(states, torch.tensor([[False, True]]))
    torch.testing.assert_close(hidden, torch.tensor([[[0.0], [2.0]]]))


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 2, 3, NAN], [1, 2, 3, 3]),
        ([1, NAN, NAN, NAN], [1, 1, 1, 1]),
        ([NAN, 2, NAN, 4], [2, 4, 4, 4]),
        ([NAN, NAN, NAN, NAN], [0, 0, 0, 0]),
    ],
)
def test_absent_slots_repeat_the_last_crop(slots: list[float], expected: list[float]) -> None:
    crops = torch.tensor([slots], dtype=torch.float32)
    filled = repeat_last_valid(crops[..., None], ~crops.isnan())
    assert filled.flatten().tolist() == expected


def test_modality_drop_hides_a_quarter_each_and_never_both() -> None:
    num_windows = 4000
    valid = torch.ones(num_windows, 3, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    audio, face = drop_modality(valid, valid, probability=0.5, generator=generator)
    assert (audio.any(dim=1) | face.any(dim=1)).all()
    assert (~audio.any(dim=1)).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert (~face.any(dim=1)).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_modality_drop_keeps_the_only_modality() -> None:
    present, absent = torch.ones(100, 3, dtype=torch.bool), torch.zeros(100, 2, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    audio, face = drop_modality(present, absent, probability=1.0, generator=generator)
    assert audio.all()
    assert not face.any()


def test_modality_drop_does_not_change_its_input() -> None:
    valid = torch.ones(100, 3, dtype=torch.bool)
    drop_modality(valid, valid, probability=1.0, generator=torch.Generator().manual_seed(0))
    assert valid.all()


def test_modality_drop_refuses_what_is_no_probability() -> None:
    valid = torch.ones(1, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"probability must be in 0\.\.1, found 1\.5"):
        drop_modality(valid, valid, probability=1.5, generator=torch.Generator())
