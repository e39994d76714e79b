"""A seed -> a small ViT with designed weights, which needs no download."""

import math
from itertools import product
from typing import Final

import numpy as np
from jaxtyping import Float
from transformers import ViTConfig, ViTModel

from oragen.encoders.embedded import SEED, Weights, assemble, linear, norm, rotation

IMAGE_PX: Final = 64
PATCH_PX: Final = 8
PATCHES: Final = IMAGE_PX // PATCH_PX  # in a row
NUM_LAYERS: Final = 5
NUM_HEADS: Final = 9
HEAD_WIDTH: Final = 20
WIDTH: Final = NUM_HEADS * HEAD_WIDTH

# Elements of a row. Of a patch: colours, gratings, edges and its place. Of the CLS row: what it has
# gathered from the patches, and a flag behind the place.
COLOURS: Final = slice(0, 3)
GRATINGS: Final = slice(3, 16)
EDGES: Final = slice(16, 27)
GATHERED: Final = slice(27, WIDTH - 6)
PLACE: Final = slice(WIDTH - 6, WIDTH - 1)
FLAG: Final = WIDTH - 1

NUM_EDGES: Final = EDGES.stop - EDGES.start
NUM_GATHERED: Final = GATHERED.stop - GATHERED.start
PLACE_SIZE: Final = 4.0  # large, so that layer norm divides all patches by about the same
FLAG_SIZE: Final = 12.0


def design_vit(seed: int = SEED) -> ViTModel:
    """Build a ViT whose CLS row gathers what 9 wide and 36 narrow regions look like.

    A patch becomes 3 colours and 13 gratings (cosines). The first perceptron turns them into the
    strength of edges by direction and fineness. Their means over regions are like histograms of
    oriented gradients (Dalal and Triggs, CVPR 2005). Every head of every layer attends to a region
    of its own and adds its mean, rotated, to the CLS row.
    """
    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=NUM_HEADS,
        intermediate_size=2 * NUM_EDGES,
        image_size=IMAGE_PX,
        patch_size=PATCH_PX,
    )
    rng = np.random.default_rng(seed)
    weights = _patches() | _places() | norm("layernorm", WIDTH)
    for layer in range(NUM_LAYERS):
        weights |= _look(layer, rng) | _find_edges(layer)
    return assemble(ViTModel, config, weights, add_pooling_layer=False)


def _patches() -> Weights:
    """Patch -> brightness, two colours, gratings: the finer, the more amplified."""
    pixels = np.zeros((WIDTH, 3, PATCH_PX, PATCH_PX))
    colours = np.array([[2 / 3, 2 / 3, 2 / 3], [3, 0, -3], [1.5, -3, 1.5]])
    pixels[COLOURS] = colours[:, :, None, None]
    middles = (np.arange(PATCH_PX) + 0.5) / PATCH_PX
    cosines = [np.full(PATCH_PX, math.sqrt(0.5)), *(np.cos(np.pi * k * middles) for k in (1, 2, 3))]
    cycles = sorted(product(range(4), repeat=2), key=lambda uv: uv[0] ** 2 + uv[1] ** 2)
    for row, (u, v) in enumerate(cycles[1:14], start=GRATINGS.start):
        pixels[row] = 4 * math.hypot(u, v) * np.outer(cosines[u], cosines[v])
    start = np.zeros(WIDTH)
    start[EDGES] = -0.45  # so that the mean strength of an edge is about 0
    return linear("embeddings.patch_embeddings.projection", pixels / PATCH_PX**2, start)


def _places() -> Weights:
    """Every patch gets its place, the CLS row its flag."""
    positions = np.zeros((1, 1 + PATCHES**2, WIDTH))
    positions[0, 1:, PLACE] = PLACE_SIZE * _code(*np.divmod(np.arange(PATCHES**2), PATCHES))
    positions[0, 0, FLAG] = FLAG_SIZE
    return {
        "embeddings.position_embeddings": positions,
        "embeddings.cls_token": np.zeros((1, 1, WIDTH)),
    }


def _code(rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "places 5"]:
    """Rows and columns of patches -> points on two half circles, and 1."""
    y, x = np.pi * rows / PATCHES, np.pi * columns / PATCHES
    return np.stack([np.cos(y), np.sin(y), np.cos(x), np.sin(x), np.ones_like(x)], axis=1)


def _look(layer: int, rng: np.random.Generator) -> Weights:
    """Attention: the CLS row looks at a region with each head, the patches at the CLS row.

    A patch's score is `sharpness * (cos(dy) + cos(dx) - 2)`, a bell around the region's centre.
    The CLS row has no colours and no edges, so that patches do not change.
    """
    centres, sharpness = _regions(layer)
    # Layer norm divides rows by these before the attention.
    patch_deviation = PLACE_SIZE * math.sqrt(3 / WIDTH)
    cls_deviation = math.sqrt((FLAG_SIZE**2 + layer * NUM_GATHERED / 2) / WIDTH)
    sharpness *= math.sqrt(HEAD_WIDTH) * patch_deviation / PLACE_SIZE * cls_deviation / FLAG_SIZE
    query, key, value = np.zeros((3, NUM_HEADS, HEAD_WIDTH, WIDTH))
    query[:, :5, FLAG] = sharpness * (centres - [0, 0, 0, 0, 3])
    query[:, 5, [PLACE.stop - 1, FLAG]] = 10, -3
    key[:, np.arange(6), np.arange(PLACE.start, WIDTH)] = 1
    read = _positions_read(layer)
    value[:, np.arange(len(read)), read] = 2 if layer == 0 else 1
    output = np.zeros((WIDTH, WIDTH))
    output[GATHERED] = 0.75 * rotation(WIDTH, rng)[:NUM_GATHERED]
    name = f"encoder.layer.{layer}"
    return (
        linear(f"{name}.attention.attention.query", query.reshape(WIDTH, WIDTH))
        | linear(f"{name}.attention.attention.key", key.reshape(WIDTH, WIDTH))
        | linear(f"{name}.attention.attention.value", value.reshape(WIDTH, WIDTH))
        | linear(f"{name}.attention.output.dense", output)
        | norm(f"{name}.layernorm_before", WIDTH)
    )


def _regions(layer: int) -> tuple[Float[np.ndarray, "heads 5"], float]:
    """Return codes of the centres that a layer's heads attend to, and how sharply.

    The first layer has a grid of 3 x 3, the others take turns in one of 6 x 6.
    """
    rows, columns = np.divmod(np.arange(NUM_HEADS), 3)
    num_regions = 3  # in a row
    if layer > 0:
        down, right = divmod(layer - 1, 2)
        rows, columns, num_regions = 2 * rows + down, 2 * columns + right, 6
    centres = [(cells + 0.5) * PATCHES / num_regions - 0.5 for cells in (rows, columns)]
    half_region = 0.5 * np.pi / num_regions  # the bell's deviation, on the half circle
    return _code(*centres), half_region**-2


def _positions_read(layer: int) -> list[int]:
    """Return the elements that attention reads: edges exist only after the first perceptron."""
    if layer == 0:
        return list(range(GRATINGS.stop))
    return [*range(GRATINGS.start + 2), *range(EDGES.start, EDGES.stop)]


def _find_edges(layer: int) -> Weights:
    """Perceptron: the absolute value of the coarser gratings, in the first layer only.

    GELU(x) + GELU(-x) is close to |x| for a large x.
    """
    into = np.zeros((2 * NUM_EDGES, WIDTH))
    out = np.zeros((WIDTH, 2 * NUM_EDGES))
    if layer == 0:
        either_sign = np.concatenate([np.eye(NUM_EDGES), -np.eye(NUM_EDGES)])
        into[:, GRATINGS.start : GRATINGS.start + NUM_EDGES] = 6 * either_sign
        out[EDGES] = abs(either_sign.T) * PLACE_SIZE * math.sqrt(3 / WIDTH) / 6
    name = f"encoder.layer.{layer}"
    return (
        linear(f"{name}.intermediate.dense", into)
        | linear(f"{name}.output.dense", out)
        | norm(f"{name}.layernorm_after", WIDTH)
    )
