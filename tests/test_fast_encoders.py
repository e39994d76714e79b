"""Encoders that are arranged to compute faster -> what they computed before."""

from typing import Any, Final

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from oragen.encoders import prepare_sounds
from oragen.encoders.computing import StepwiseConv1d, keep_steps_together, to_bf16
from oragen.media.samples import to_floats
from oragen.models.unimodal import prepare_waveforms
from oragen.models.unimodal.waveforms import normalise_raw, pad_raw

SIZES: Final[dict[str, Any]] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_bias": True,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}


def make_noise(num_samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=3000, size=num_samples).astype(np.int16)


def test_wide_convolutions_that_write_step_by_step_compute_the_same() -> None:
    """Also their weights stay the same tensors, under the same names."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(**SIZES, conv_dim=(512,) * 7)
    network = Wav2Vec2Model(config).eval()
    samples = torch.randn(2, 8000)
    with torch.no_grad():
        expected = network.feature_extractor(samples)
        names = [*network.state_dict()]
        keep_steps_together(network.feature_extractor)
        found = network.feature_extractor(samples)
    assert all(
        isinstance(layer.conv, StepwiseConv1d) for layer in network.feature_extractor.conv_layers
    )
    assert [*network.state_dict()] == names
    torch.testing.assert_close(found, expected)
    for layer in network.feature_extractor.conv_layers[1:]:
        assert layer.conv(found[..., :50]).transpose(1, 2).is_contiguous()


def test_a_copy_in_bf16_leaves_the_network_as_it_is() -> None:
    """The weights of the positional convolution are computed from others, in both."""
    torch.manual_seed(0)
    network = Wav2Vec2Model(Wav2Vec2Config(**SIZES, conv_dim=(8,) * 7)).eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rounded = to_bf16(network)
    assert all(weight.dtype == torch.bfloat16 for weight in rounded.parameters())
    assert {name: tensor.dtype for name, tensor in network.state_dict().items()} == {
        name: tensor.dtype for name, tensor in before.items()
    }
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    weight = network.encoder.pos_conv_embed.conv.weight
    assert torch.equal(rounded.encoder.pos_conv_embed.conv.weight, weight.to(torch.bfloat16))


def test_a_device_normalises_raw_samples_as_memory_does() -> None:
    waveforms = [make_noise(4000), make_noise(1000), make_noise(2500)]
    expected = prepare_waveforms([to_floats(waveform) for waveform in waveforms], min_samples=0)
    raw = pad_raw(waveforms)
    assert raw.samples.dtype == torch.int16
    assert torch.equal(raw.valid, expected.valid)
    torch.testing.assert_close(normalise_raw(raw.samples, raw.valid), expected.samples)
    alone = pad_raw(waveforms[:1])
    torch.testing.assert_close(
        normalise_raw(alone.samples, None), expected.samples[:1], atol=1e-5, rtol=1e-5
    )


def test_sounds_are_prepared_as_the_extractor_of_transformers_does() -> None:
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    waveforms = [make_noise(4000), make_noise(1000)]
    padded = extractor(
        [to_floats(waveform) for waveform in waveforms],
        sampling_rate=16_000, padding="longest", return_tensors="pt",
    )  # fmt: skip
    samples, valid = prepare_sounds(extractor, waveforms)
    assert torch.equal(samples, padded.input_values)
    assert torch.equal(valid, padded.attention_mask.bool())
