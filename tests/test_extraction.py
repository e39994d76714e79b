"""Inputs -> features that are computed once, whatever happens while they are."""

import dataclasses
import shutil
import threading
from collections import namedtuple
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oragen.encoders.levels import Launched
from oragen.features.extraction import (
    DiskTooSmallError,
    GpuTooSmallError,
    extract,
    group_inputs,
)
from oragen.features.presence import FeatureInput
from oragen.features.rows import locate_features
from oragen.features.spec import EmbeddingError, FeatureSpec
from oragen.schema.vocabulary import LEVELS, Level
from oragen.store.parts import PartStore
from tests.feature_stores import GiveBack, make_spec

SPEC = make_spec(shape=(4, 2))


OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory")


class CountingEncoder(GiveBack):
    """Gives back what it gets, and keeps the sizes of its batches."""

    def __init__(self, most: int = 100, error: RuntimeError = OUT_OF_MEMORY) -> None:
        self.error = error
        self.batches: list[list[int]] = []
        self.levels: list[tuple[Level, ...]] = []  # of each batch
        self.most = most  # inputs that fit into its memory

    def launch(
        self, prepared: list[np.ndarray], levels: Collection[Level], dtype: torch.dtype
    ) -> Launched:
        if len(prepared) > self.most:
            raise self.error
        self.batches.append([len(item) for item in prepared])
        self.levels.append(tuple(levels))
        return super().launch(prepared, levels, dtype)


def make_input(key: str, num_positions: int = 4, value: float = 1.0) -> FeatureInput:
    read = partial(np.full, (num_positions, 2), value)
    return FeatureInput(key, f"clip of {key}", num_positions / 4, read)


def encode(
    folder: Path,
    inputs: list[FeatureInput],
    *specs: FeatureSpec,
    batch_size: int = 2,
    most: int = 100,
    error: RuntimeError = OUT_OF_MEMORY,
    part_bytes: int = 2**20,
) -> list[list[int]]:
    """Extract, and return the sizes of what the encoder got, batch by batch."""
    encoder = CountingEncoder(most, error)
    store = PartStore(folder, "zarr")
    num_new = extract(
        store, inputs, encoder, specs or [SPEC], batch_size=batch_size, part_bytes=part_bytes
    )
    assert num_new == sum(map(len, encoder.batches))
    return encoder.batches


def load(folder: Path, *keys: str, spec: FeatureSpec = SPEC) -> np.ndarray:
    rows = locate_features({str(folder): [spec.key_of(key) for key in keys]})
    parts = {number: rows.read_part(number) for number in range(len(rows.parts))}
    return rows.gather(np.arange(len(rows)), parts)


def test_what_is_there_is_not_encoded_again(tmp_path: Path) -> None:
    inputs = [make_input("a"), make_input("b"), make_input("c")]
    assert encode(tmp_path, inputs) == [[4, 4], [4]]
    assert encode(tmp_path, inputs) == []
    assert encode(tmp_path, [*inputs, make_input("d")]) == [[4]]


def test_an_input_that_is_listed_twice_is_encoded_once(tmp_path: Path) -> None:
    assert encode(tmp_path, [make_input("a"), make_input("a")]) == [[4]]


def test_what_is_there_is_not_even_read(tmp_path: Path) -> None:
    encode(tmp_path, [make_input("a")])
    unreadable = FeatureInput("a", "clip", 1.0, partial(np.load, tmp_path / "gone.npy"))
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


@pytest.mark.parametrize("number", [70_000.0, float("inf"), float("nan")])
def test_what_half_precision_cannot_hold_is_refused(tmp_path: Path, number: float) -> None:
    with pytest.raises(EmbeddingError, match="clip of bad that float16 cannot hold"):
        encode(tmp_path, [make_input("bad", value=number)])
    assert PartStore(tmp_path, "zarr").parts() == []


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
    assert load(tmp_path, "a")[0, 0, 0] == 1.0
    assert load(tmp_path, "a", spec=other)[0, 0, 0] == 2.0


@pytest.mark.parametrize("change", ["encoder", "source"])
def test_a_name_decides_nothing(tmp_path: Path, change: str) -> None:
    """The same weights from elsewhere are the same encoder: nothing is made again, or refused."""
    renamed: dict[str, Any] = {change: "/other/path"}
    other = dataclasses.replace(SPEC, **renamed)
    encode(tmp_path, [make_input("a")])
    assert encode(tmp_path, [make_input("a"), make_input("b")], other) == [[4]]
    assert len(load(tmp_path, "a", "b")) == 2


def test_batches_are_the_same_whatever_there_is_already(tmp_path: Path) -> None:
    """A part ends where a batch does, so a run that takes up a killed one makes equal parts."""
    lengths = (4, 1, 3, 2, 4, 4, 1, 2, 3, 4, 4)
    inputs = [
        make_input(f"{number}", length, float(number)) for number, length in enumerate(lengths)
    ]
    parts = {}
    for folder in (tmp_path / "undisturbed", tmp_path / "killed"):
        encode(folder, inputs, batch_size=2, part_bytes=40)  # 16 bytes a whole row
        parts[folder.name] = PartStore(folder, "zarr").parts()
    assert [len(names) for names in parts.values()] == [3, 3]
    for gone in parts["killed"]:
        kept = sorted(part.name for part in parts["killed"])
        shutil.rmtree(gone)
        encode(gone.parent, inputs, batch_size=2, part_bytes=40)
        assert sorted(part.name for part in gone.parent.glob("part-*")) == kept


def test_an_encoder_that_fails_costs_no_more_than_the_part_under_way(tmp_path: Path) -> None:
    inputs = [make_input(f"{number}") for number in range(12)]
    [in_order] = group_inputs(inputs, group_fill=100.0, batch_size=2)
    broken = dataclasses.replace(in_order[9], read=partial(np.load, tmp_path / "gone.npy"))
    with pytest.raises(FileNotFoundError):
        encode(tmp_path, [*in_order[:9], broken, *in_order[10:]], part_bytes=60)
    assert len(PartStore(tmp_path, "zarr").index()) == 8
    assert encode(tmp_path, inputs, part_bytes=60) == [[4, 4], [4, 4]]


def test_several_levels_are_made_in_one_go(tmp_path: Path) -> None:
    specs = [dataclasses.replace(SPEC, level=level) for level in LEVELS]
    inputs = [make_input(key) for key in "abc"]
    assert encode(tmp_path, inputs, *specs) == [[4, 4], [4]]
    assert len(PartStore(tmp_path, "zarr").index()) == 3 * len(LEVELS)
    assert encode(tmp_path, inputs, *specs) == []


def test_a_level_more_makes_that_level_alone(tmp_path: Path) -> None:
    early = dataclasses.replace(SPEC, level="early")
    encode(tmp_path, [make_input("a")])
    before = PartStore(tmp_path, "zarr").parts()
    assert encode(tmp_path, [make_input("a")], SPEC, early) == [[4]]
    index = PartStore(tmp_path, "zarr").index()
    assert set(index) == {SPEC.key_of("a"), early.key_of("a")}
    assert index[SPEC.key_of("a")].part == before[0]
    assert encode(tmp_path, [make_input("a")]) == []


def test_an_encoder_is_asked_for_the_levels_that_a_group_lacks(tmp_path: Path) -> None:
    """As much as one pass returns for all inputs is one group here: `b` lacks both levels."""
    early = dataclasses.replace(SPEC, level="early")
    store, encoder = PartStore(tmp_path, "zarr"), CountingEncoder()
    options: Any = {"encoder": encoder, "batch_size": 2, "part_bytes": 2**20}
    extract(store, [make_input("a")], specs=[SPEC], **options)
    extract(store, [make_input("a")], specs=[SPEC, early], **options)
    assert encoder.levels == [("intermediate",), ("early",)]
    late = dataclasses.replace(SPEC, level="late")
    extract(store, [make_input("a"), make_input("b")], specs=[early, late], **options)
    assert encoder.levels[2:] == [("early", "late")]


def test_parts_of_all_levels_end_together(tmp_path: Path) -> None:
    """Else a kill would cost all rows of a small level, and with them the whole extraction."""
    small = dataclasses.replace(SPEC, level="late", shape=(1, 2))
    whole = dataclasses.replace(SPEC, shape=(1, 2))
    inputs = [make_input(f"{number}", num_positions=1) for number in range(32)]
    encode(tmp_path, inputs, whole, small, part_bytes=16)  # of 8 bytes, filled by a quarter
    store = PartStore(tmp_path, "zarr")
    sizes = [
        sum(located.part == part for located in store.index().values()) for part in store.parts()
    ]
    assert sizes == [16, 16, 16, 16]


def test_a_gpu_that_is_too_small_gets_half_the_batch_from_then_on(tmp_path: Path) -> None:
    inputs = [make_input(f"{number}", value=float(number)) for number in range(40)]
    batches = encode(tmp_path, inputs, batch_size=8, most=3)
    assert [len(batch) for batch in batches[:4]] == [2, 2, 2, 2]
    assert {len(batch) for batch in batches} == {2}
    keys = [f"{number}" for number in range(40)]
    assert load(tmp_path, *keys)[:, 0, 0].tolist() == list(range(40))


def test_a_library_below_torch_that_lacks_memory_gets_half_the_batch_too(tmp_path: Path) -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)")
    inputs = [make_input(f"{number}") for number in range(8)]
    assert encode(tmp_path, inputs, batch_size=8, most=4, error=error) == [[4] * 4] * 2


def test_another_error_of_an_encoder_ends_extraction(tmp_path: Path) -> None:
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal"):
        encode(tmp_path, [make_input("a"), make_input("b")], most=1, error=error)


def test_a_gpu_that_is_too_small_for_one_input_is_said(tmp_path: Path) -> None:
    with pytest.raises(GpuTooSmallError, match=r"too little memory for one input of clip of .*cpu"):
        encode(tmp_path, [make_input("a"), make_input("b")], most=0)


def test_the_next_batch_is_read_while_the_encoder_is_at_work(tmp_path: Path) -> None:
    """Each embedding waits until a later batch was read."""
    was_read = {f"{number}": threading.Event() for number in range(6)}
    inputs = [make_input(key) for key in was_read]
    [order] = group_inputs(inputs, group_fill=100.0, batch_size=1)
    following = dict(zip((item.key for item in order), order[1:], strict=False))

    class WaitingEncoder(GiveBack):
        def launch(
            self, prepared: list[np.ndarray], levels: Collection[Level], dtype: torch.dtype
        ) -> Launched:
            next_one = following.get(f"{int(prepared[0][0, 0])}")
            assert next_one is None or was_read[next_one.key].wait(timeout=20)
            return super().launch(prepared, levels, dtype)

    def read(key: str) -> np.ndarray:
        was_read[key].set()
        return np.full((4, 2), float(key))

    inputs = [FeatureInput(key, f"clip of {key}", 1.0, partial(read, key)) for key in was_read]
    store = PartStore(tmp_path, "zarr")
    extract(store, inputs, WaitingEncoder(), [SPEC], batch_size=1, part_bytes=2**20)
    assert load(tmp_path, *was_read)[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_too_little_disk_is_refused_with_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    large = make_spec(shape=(500, 1000))  # 1 MB a row
    inputs = [make_input(f"{number}") for number in range(32)]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 3 * 10**8))
    with pytest.raises(
        DiskTooSmallError, match=r"32 inputs need up to 32\.0 MB.*has 300\.0 MB free"
    ):
        encode(tmp_path, inputs, large)
    assert PartStore(tmp_path, "zarr").parts() == []


def test_clips_stay_together_and_the_longest_of_a_group_come_first() -> None:
    inputs = [
        FeatureInput(f"{clip}-{window}", f"clip {clip}", fill, partial(np.zeros, 1))
        for clip in range(20)
        for window, fill in enumerate((1.0, 0.25, 0.75))
    ]
    groups = group_inputs(inputs, group_fill=4.0, batch_size=3)
    assert [len(group) for group in groups] == [6] * 10
    for group in groups:
        assert [item.fill for item in group] == [1.0, 1.0, 0.75, 0.75, 0.25, 0.25]
        assert len({item.clip_id for item in group}) == 2
    clips = list(dict.fromkeys(item.clip_id for group in groups for item in group))
    assert clips != sorted(clips)
    assert groups == group_inputs(inputs[::-1], group_fill=4.0, batch_size=3)


def test_a_group_is_worth_a_part_whatever_its_inputs_fill() -> None:
    inputs = [FeatureInput(f"{n}", f"{n}", 0.25, partial(np.zeros, 1)) for n in range(100)]
    groups = group_inputs(inputs, group_fill=5.0, batch_size=8)
    assert [len(group) for group in groups] == [24, 24, 24, 24, 4]  # 20 and more, in batches of 8


def test_groups_that_are_left_are_those_that_were_there() -> None:
    """However many whole groups are done already."""
    fills = np.random.default_rng(0).uniform(0.25, 1.0, 200)
    inputs = [
        FeatureInput(f"{n}", f"{n}", fill, partial(np.zeros, 1)) for n, fill in enumerate(fills)
    ]
    groups = group_inputs(inputs, group_fill=7.0, batch_size=4)
    assert len(groups) > 10
    for done in range(len(groups)):
        left = [item for group in groups[done:] for item in group]
        assert group_inputs(left, group_fill=7.0, batch_size=4) == groups[done:]
