"""A seed -> a small wav2vec 2.0 with designed weights, which needs no download."""

import math
from typing import Final

import numpy as np
from jaxtyping import Float
from transformers import Wav2Vec2Config, Wav2Vec2Model

from oragen.encoders.embedded import SEED, Weights, assemble, linear, norm, rotation
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

NUM_BANDS: Final = 64
LOWEST_HZ: Final = 60.0
HIGHEST_HZ: Final = 7500.0
FILTER_SAMPLES: Final = 480
NUM_PHASES: Final = 4
STEEPNESS: Final = 10.0  # of the rectification: GELU is straight only beyond 1
# An amplitude, in units of the root mean square over bands, is encoded in two ranges: 0 to 1, and
# 0 to 1/4 for quiet bands. The levels are the means within each range, from 0 to 1, over generated
# speech of 300 speakers who are in no demo corpus.
RANGE_GAINS: Final = (1.0, 4.0)
LEVELS_HZ: Final = (60, 200, 400, 700, 1500, 2500, 3500, 5500)
LEVELS: Final = (
    (0.25, 0.56, 0.70, 0.54, 0.44, 0.51, 0.45, 0.29),
    (0.36, 0.83, 0.93, 0.87, 0.75, 0.78, 0.71, 0.35),
)
WIDTH: Final = NUM_BANDS * len(RANGE_GAINS)
CONTEXT_STEPS: Final = 16


def design_wav2vec2(seed: int = SEED) -> Wav2Vec2Model:
    """Build a wav2vec 2.0 whose steps encode the amplitudes of mel-spaced bands.

    The first convolution is a bank of Gabor filters, as in time-domain filterbanks (Zeghidour et
    al., ICASSP 2018), in four phases. GELU rectifies them and the second convolution adds them up
    to amplitudes. These are clipped at two heights, in place of a logarithm. Attention is even, so
    that each step also encodes the mean of all steps.
    """
    config = Wav2Vec2Config(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=WIDTH,
        conv_dim=(NUM_BANDS * NUM_PHASES, 2 * WIDTH + 1),
        conv_kernel=(FILTER_SAMPLES, 2),
        conv_stride=(160, 2),
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=CONTEXT_STEPS,
        num_conv_pos_embedding_groups=4,
        mask_time_prob=0.0,
    )
    rng = np.random.default_rng(seed)
    weights = _filters() | _amplitudes() | _ranges(rng) | _context(rng)
    for layer in range(config.num_hidden_layers):
        weights |= _layer(f"encoder.layers.{layer}", rng)
    return assemble(Wav2Vec2Model, config, weights | norm("encoder.layer_norm", WIDTH))


def _filters() -> Weights:
    """Waveform -> every band in four phases; gains undo the fall of speech above 500 Hz."""
    hz = _bands_hz()
    seconds = (np.arange(FILTER_SAMPLES) - (FILTER_SAMPLES - 1) / 2) / SAMPLE_RATE_HZ
    deviations_s = np.minimum(seconds[-1] / 2.5, 1 / (np.pi * np.gradient(hz)))
    envelopes = np.exp(-0.5 * (seconds / deviations_s[:, None]) ** 2)
    envelopes *= (np.maximum(hz / 500, 1) ** 1.25 / np.linalg.norm(envelopes, axis=1))[:, None]
    phases = 2 * np.pi * np.arange(NUM_PHASES) / NUM_PHASES
    waves = np.cos(2 * np.pi * hz[:, None, None] * seconds - phases[:, None])
    filters = (envelopes[:, None] * waves).reshape(-1, 1, FILTER_SAMPLES)
    name = "feature_extractor.conv_layers.0"
    return linear(f"{name}.conv", filters) | norm(f"{name}.layer_norm", len(filters), STEEPNESS)


def _bands_hz() -> Float[np.ndarray, " bands"]:
    lowest, highest = (2595 * math.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
    mels = np.linspace(lowest, highest, NUM_BANDS)
    return np.asarray(700 * (10 ** (mels / 2595) - 1))


def _amplitudes() -> Weights:
    """Rectified phases -> a block `relu(gain * amplitude)` and one `relu(gain * amplitude - 1)`.

    The second block is negative until the layer norm's weight turns it round, so that the norm
    finds the mean 0 and only divides. The last channel is always 3.
    """
    over_phases = np.repeat(np.eye(NUM_BANDS), NUM_PHASES, axis=1)
    over_both = np.stack([over_phases] * 2, axis=2) * np.pi / (4 * NUM_PHASES * STEEPNESS)
    kernel = np.concatenate([over_both, -over_both] * len(RANGE_GAINS) + [0 * over_both[:1]])
    gains = np.outer(RANGE_GAINS, (1, -1)).repeat(NUM_BANDS)
    offsets = np.repeat((0.0, -1.0) * len(RANGE_GAINS), NUM_BANDS)
    name = "feature_extractor.conv_layers.1"
    return linear(f"{name}.conv", kernel) | {
        f"{name}.layer_norm.weight": np.append(gains, 0.0),
        f"{name}.layer_norm.bias": np.append(offsets, 3.0),
    }


def _ranges(rng: np.random.Generator) -> Weights:
    """Blocks -> `min(gain * amplitude, 1)` less its mean level, all bands mixed by a rotation."""
    within = np.kron(np.eye(len(RANGE_GAINS)), np.kron([1, -1], np.eye(NUM_BANDS)))
    levels = np.concatenate([np.interp(_bands_hz(), LEVELS_HZ, row) for row in LEVELS])
    mixed = 6 * rotation(WIDTH, rng) @ np.column_stack([within, -levels / 3])
    name = "feature_projection"
    return linear(f"{name}.projection", mixed) | norm(f"{name}.layer_norm", mixed.shape[1])


def _context(rng: np.random.Generator) -> Weights:
    """Mix in nearby steps at random: the positional convolution, by norm and direction."""
    name = "encoder.pos_conv_embed.conv"
    directions = rng.standard_normal((WIDTH, WIDTH // 4, CONTEXT_STEPS))
    return {
        f"{name}.bias": np.zeros(WIDTH),
        f"{name}.parametrizations.weight.original0": np.full((1, 1, CONTEXT_STEPS), 0.25),
        f"{name}.parametrizations.weight.original1": directions,
    }


def _layer(name: str, rng: np.random.Generator) -> Weights:
    """Add the mean of all steps, and a little of a random perceptron."""
    forth, nothing = rotation(WIDTH, rng), np.zeros((WIDTH, WIDTH))
    return (
        linear(f"{name}.attention.q_proj", nothing)
        | linear(f"{name}.attention.k_proj", nothing)
        | linear(f"{name}.attention.v_proj", forth)
        | linear(f"{name}.attention.out_proj", forth.T)
        | linear(f"{name}.feed_forward.intermediate_dense", 1.5 * rotation(WIDTH, rng))
        | linear(f"{name}.feed_forward.output_dense", 0.3 * rotation(WIDTH, rng))
        | norm(f"{name}.layer_norm", WIDTH)
        | norm(f"{name}.final_layer_norm", WIDTH)
    )
