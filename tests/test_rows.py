"""Keys -> rows of features: found by all that they depend on, in the order asked for."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from oragen.features.rows import (
    FeatureRows,
    MissingFeaturesError,
    MixedFeaturesError,
    locate_features,
)
from oragen.features.spec import FeatureSpec
from oragen.store.failures import DamagedPartError
from oragen.store.parts import PartStore
from tests.feature_stores import make_spec, write_features

SPEC = make_spec(shape=(4, 2))


@dataclass(frozen=True)
class Loaded:
    """Rows and their values."""

    rows: FeatureRows
    values: np.ndarray


def load(folder: Path, *keys: str, spec: FeatureSpec = SPEC) -> Loaded:
    rows = locate_features({str(folder): [spec.key_of(key) for key in keys]})
    return Loaded(rows, read(rows))


def read(rows: FeatureRows) -> np.ndarray:
    parts = {number: rows.read_part(number) for number in range(len(rows.parts))}
    return rows.gather(np.arange(len(rows)), parts)


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    values = {key: np.full((4, 2), float(value)) for value, key in enumerate("abcde")}
    write_features(tmp_path, values, SPEC, part_bytes=32)  # two rows a part
    assert len(PartStore(tmp_path, "zarr").parts()) == 3
    assert load(tmp_path, "d", "a", "e", "b").values[:, 0, 0].tolist() == [3, 0, 4, 1]


def test_a_row_asked_for_twice_is_there_twice(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((4, 2)), "b": np.full((3, 2), 2.0)}, SPEC)
    loaded = load(tmp_path, "b", "a", "b")
    assert loaded.values[:, 0, 0].tolist() == [2, 1, 2]
    assert loaded.rows.num_positions.tolist() == [3, 4, 3]


def test_a_short_row_is_followed_by_zeros_and_says_how_long_it_is(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((3, 2)), "b": np.ones((4, 2))}, SPEC)
    loaded = load(tmp_path, "a", "b")
    assert loaded.values[0].tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]
    assert loaded.rows.num_positions.tolist() == [3, 4]


def test_features_are_half_precision(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.full((4, 2), 1 / 3)}, SPEC)
    loaded = load(tmp_path, "a")
    assert loaded.values.dtype == np.float16
    assert loaded.values[0, 0, 0] == np.float16(1 / 3)


def test_rows_of_two_stores_follow_each_other(tmp_path: Path) -> None:
    for value, name in enumerate(("one", "two")):
        write_features(tmp_path / name, {"a": np.full((4, 2), float(value))}, SPEC)
    key = SPEC.key_of("a")
    rows = locate_features({str(tmp_path / "two"): [key], str(tmp_path / "one"): [key]})
    assert read(rows)[:, 0, 0].tolist() == [1, 0]


def test_a_missing_row_is_named_with_its_store(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((4, 2))}, SPEC)
    absent = SPEC.key_of("b")
    with pytest.raises(
        MissingFeaturesError, match=rf"{tmp_path} lacks 1 of 2 .*{absent}.*dvc repro"
    ):
        load(tmp_path, "a", "b")


@pytest.mark.parametrize("shape", [(5, 2), (4, 3)], ids=["longer", "wider"])
def test_an_embedding_of_another_shape_is_no_row(tmp_path: Path, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="an embedding of"):
        write_features(tmp_path, {"a": np.ones(shape)}, SPEC)


def test_features_of_two_encoders_do_not_go_together(tmp_path: Path) -> None:
    other = dataclasses.replace(SPEC, fingerprint="e" * 64)
    write_features(tmp_path, {"a": np.ones((4, 2))}, SPEC)
    write_features(tmp_path, {"b": np.ones((4, 2))}, other)
    keys = [SPEC.key_of("a"), other.key_of("b")]
    with pytest.raises(MixedFeaturesError, match=r"made in 2 ways.*dvc repro"):
        locate_features({str(tmp_path): keys})


def test_the_spec_comes_back(tmp_path: Path) -> None:
    write_features(tmp_path, {"a": np.ones((4, 2))}, SPEC)
    spec = load(tmp_path, "a").rows.spec
    assert spec == SPEC.as_json() | {"shape": [4, 2]}
    assert spec["stored"] == "<f2"


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (make_spec("audio"), ("step", "width")),
        (make_spec("face"), ("layer", "width")),
        (dataclasses.replace(make_spec("face"), level="early"), ("token", "width")),
        (dataclasses.replace(make_spec("audio"), level="late"), ("vector", "width")),
    ],
)
def test_axes_are_named_in_the_file(
    tmp_path: Path, spec: FeatureSpec, names: tuple[str, ...]
) -> None:
    write_features(tmp_path, {"a": np.ones(spec.shape)}, spec)
    (part,) = PartStore(tmp_path, "zarr").parts()
    values: Any = zarr.open_group(part, mode="r")["values"]
    assert values.metadata.dimension_names == names
    assert values.shape == spec.shape


def test_rows_in_many_parts_are_found(tmp_path: Path) -> None:
    values = {f"{key:03}": np.full((4, 2), float(key)) for key in range(200)}
    write_features(tmp_path, values, SPEC, part_bytes=64)
    assert len(PartStore(tmp_path, "zarr").parts()) == 50
    keys = [f"{key:03}" for key in range(199, 0, -4)]
    assert load(tmp_path, *keys).values[:, 3, 1].tolist() == [int(key) for key in keys]


def test_a_part_is_read_whole(tmp_path: Path) -> None:
    """So damage to its last row is noticed by who wants its first one."""
    spec = make_spec(shape=(512, 512))
    rows = np.random.default_rng(0).standard_normal((6, 512, 512))
    write_features(tmp_path, {f"{key}": rows[key] for key in range(6)}, spec, part_bytes=2**23)
    (shard,) = tmp_path.rglob("c/0/0")
    content = bytearray(shard.read_bytes())
    content[len(content) * 9 // 10] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DamagedPartError):
        load(tmp_path, "0", spec=spec)
