"""Inputs -> features that are computed once, and found again by all that they depend on."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from oragen.features import (
    EmbeddingError,
    FeatureInput,
    FeatureSpec,
    LoadedFeatures,
    MissingFeaturesError,
    MixedFeaturesError,
    extract,
    load_features,
)
from oragen.parts import DamagedPartError, PartStore
from tests.feature_stores import give_back, make_spec, write_features

SPEC = make_spec(shape=(4, 2))


class CountingEncoder:
    """Gives back what it gets, and keeps the sizes of its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        self.batches.append([len(item) for item in inputs])
        return give_back(inputs)


def make_input(key: str, num_positions: int = 4, value: float = 1.0) -> FeatureInput:
    read = partial(np.full, (num_positions, 2), value)
    return FeatureInput(key, f"clip of {key}", num_positions, read)


def encode(
    folder: Path, inputs: list[FeatureInput], spec: FeatureSpec = SPEC, batch_size: int = 2
) -> list[list[int]]:
    """Extract, and return the sizes of what the encoder got, batch by batch."""
    encoder = CountingEncoder()
    num_new = extract(
        PartStore(folder, "zarr"), inputs, encoder, spec, batch_size=batch_size, part_bytes=2**20
    )
    assert num_new == sum(map(len, encoder.batches))
    return encoder.batches


def load(folder: Path, *keys: str, spec: FeatureSpec = SPEC) -> LoadedFeatures:
    return load_features({str(folder): [spec.key_of(key) for key in keys]})


def test_what_is_there_is_not_encoded_again(tmp_path: Path) -> None:
    inputs = [make_input("a"), make_input("b"), make_input("c")]
    assert encode(tmp_path, inputs) == [[4, 4], [4]]
    assert encode(tmp_path, inputs) == []
    assert encode(tmp_path, [*inputs, make_input("d")]) == [[4]]


def test_an_input_that_is_listed_twice_is_encoded_once(tmp_path: Path) -> None:
    assert encode(tmp_path, [make_input("a"), make_input("a")]) == [[4]]


def test_what_is_there_is_not_even_read(tmp_path: Path) -> None:
    encode(tmp_path, [make_input("a")])
    unreadable = FeatureInput("a", "clip", 4, partial(np.load, tmp_path / "gone.npy"))
    assert encode(tmp_path, [unreadable]) == []


def test_inputs_of_like_length_share_a_batch(tmp_path: Path) -> None:
    sizes = {"a": 1, "b": 4, "c": 2, "d": 3}
    inputs = [make_input(key, size) for key, size in sizes.items()]
    assert encode(tmp_path, inputs) == [[4, 3], [2, 1]]


def test_the_same_inputs_in_another_order_give_the_same_part(tmp_path: Path) -> None:
    inputs = [make_input(key, value=float(ord(key))) for key in "abcd"]
    encode(tmp_path / "one", inputs)
    encode(tmp_path / "two", inputs[::-1])
    names = [
        [part.name for part in PartStore(tmp_path / n, "zarr").parts()] for n in ("one", "two")
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 1


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    values = {key: np.full((4, 2), float(value)) for value, key in enumerate("abcde")}
    write_features(tmp_path, values, SPEC, part_bytes=32)  # two rows a part
    assert len(PartStore(tmp_path, "zarr").parts()) == 3
    assert load(tmp_path, "d", "a", "e", "b").values[:, 0, 0].tolist() == [3, 0, 4, 1]


def test_a_row_asked_for_twice_is_there_twice(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((4, 2)), "b": np.full((3, 2), 2.0)}, SPEC)
    loaded = load(tmp_path, "b", "a", "b")
    assert loaded.values[:, 0, 0].tolist() == [2, 1, 2]
    assert loaded.num_positions.tolist() == [3, 4, 3]


def test_a_short_row_is_followed_by_zeros_and_says_how_long_it_is(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((3, 2)), "b": np.ones((4, 2))}, SPEC)
    loaded = load(tmp_path, "a", "b")
    assert loaded.values[0].tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]
    assert loaded.num_positions.tolist() == [3, 4]


def test_features_are_half_precision(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.full((4, 2), 1 / 3)}, SPEC)
    loaded = load(tmp_path, "a")
    assert loaded.values.dtype == np.float16
    assert loaded.values[0, 0, 0] == np.float16(1 / 3)


def test_rows_of_two_stores_follow_each_other(tmp_path: Path) -> None:
    for value, name in enumerate(("one", "two")):
        write_features(tmp_path / name, {"a": np.full((4, 2), float(value))}, SPEC)
    key = SPEC.key_of("a")
    loaded = load_features({str(tmp_path / "two"): [key], str(tmp_path / "one"): [key]})
    assert loaded.values[:, 0, 0].tolist() == [1, 0]


def test_a_missing_row_is_named_with_its_store(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((4, 2))}, SPEC)
    absent = SPEC.key_of("b")
    with pytest.raises(
        MissingFeaturesError, match=rf"{tmp_path} lacks 1 of 2 .*{absent}.*dvc repro"
    ):
        load(tmp_path, "a", "b")


@pytest.mark.parametrize("number", [70_000.0, float("inf"), float("nan")])
def test_what_half_precision_cannot_hold_is_refused(tmp_path: Path, number: float) -> None:
    with pytest.raises(EmbeddingError, match="clip of bad that float16 cannot hold"):
        encode(tmp_path, [make_input("bad", value=number)])
    assert PartStore(tmp_path, "zarr").parts() == []


@pytest.mark.parametrize("shape", [(5, 2), (4, 3)], ids=["longer", "wider"])
def test_an_embedding_of_another_shape_is_no_row(tmp_path: Path, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        write_features(tmp_path, {"a": np.ones(shape)}, SPEC)


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "e" * 64},
        {"level": "early"},
        {"precision": "bf16"},
        {"shape": (5, 2)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_a_value_is_part_of_its_key(tmp_path: Path, change: dict[str, Any]) -> None:
    other = dataclasses.replace(SPEC, **change)
    assert other.key_of("a") != SPEC.key_of("a")
    encode(tmp_path, [make_input("a", value=1.0)])
    assert encode(tmp_path, [make_input("a", value=2.0)], other) == [[4]]
    assert load(tmp_path, "a").values[0, 0, 0] == 1.0
    assert load(tmp_path, "a", spec=other).values[0, 0, 0] == 2.0


@pytest.mark.parametrize("change", ["encoder", "source"])
def test_a_name_decides_nothing(tmp_path: Path, change: str) -> None:
    """The same weights from elsewhere are the same encoder: nothing is made again, or refused."""
    renamed: dict[str, Any] = {change: "/other/path"}
    other = dataclasses.replace(SPEC, **renamed)
    encode(tmp_path, [make_input("a")])
    assert encode(tmp_path, [make_input("a"), make_input("b")], other) == [[4]]
    assert len(load(tmp_path, "a", "b").values) == 2


def test_features_of_two_encoders_do_not_go_together(tmp_path: Path) -> None:
    other = dataclasses.replace(SPEC, fingerprint="e" * 64)
    write_features(tmp_path, {"a": np.ones((4, 2))}, SPEC)
    write_features(tmp_path, {"b": np.ones((4, 2))}, other)
    keys = [SPEC.key_of("a"), other.key_of("b")]
    with pytest.raises(MixedFeaturesError, match=r"made in 2 ways.*dvc repro"):
        load_features({str(tmp_path): keys})


def test_the_spec_comes_back(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((4, 2))}, SPEC)
    spec = load(tmp_path, "a").spec
    assert spec == SPEC.as_json() | {"shape": [4, 2]}
    assert spec["stored"] == "<f2"


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (make_spec("audio"), ("window", "step", "width")),
        (make_spec("face"), ("crop", "layer", "width")),
        (dataclasses.replace(make_spec("face"), level="early"), ("crop", "token", "width")),
        (dataclasses.replace(make_spec("audio"), level="late"), ("window", "vector", "width")),
    ],
)
def test_axes_are_named_in_the_file(
    tmp_path: Path, spec: FeatureSpec, names: tuple[str, ...]
) -> None:
    write_features(tmp_path, {"a": np.ones(spec.shape)}, spec)
    (part,) = PartStore(tmp_path, "zarr").parts()
    values: Any = zarr.open_group(part, mode="r")["values"]
    assert values.metadata.dimension_names == names
    assert values.shape == (1, *spec.shape)


def test_rows_in_many_parts_are_found(tmp_path: Path) -> None:
    values = {f"{key:03}": np.full((4, 2), float(key)) for key in range(200)}
    write_features(tmp_path, values, SPEC, part_bytes=64)
    assert len(PartStore(tmp_path, "zarr").parts()) == 50
    keys = [f"{key:03}" for key in range(199, 0, -4)]
    assert load(tmp_path, *keys).values[:, 3, 1].tolist() == [int(key) for key in keys]


def test_a_part_is_read_whole(tmp_path: Path) -> None:
    """So damage to its last chunk is noticed by who wants its first row; a chunk is two rows."""
    spec = make_spec(shape=(512, 512))
    rows = np.random.default_rng(0).standard_normal((6, 512, 512))
    write_features(tmp_path, {f"{key}": rows[key] for key in range(6)}, spec, part_bytes=2**23)
    (shard,) = tmp_path.rglob("c/0/0/0")
    content = bytearray(shard.read_bytes())
    content[len(content) * 9 // 10] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DamagedPartError):
        load(tmp_path, "0", spec=spec)
