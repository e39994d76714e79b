"""Features that are streamed part by part: the same windows and values as from memory."""

import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from oragen.features import streaming
from oragen.features.dataset import Batch, WindowDataset
from oragen.features.rows import FeatureRows
from oragen.features.streaming import Parts, gather, read_ahead, read_parts
from oragen.schema.tables import DATASET
from oragen.store.failures import PartError
from oragen.store.parts import PartStore
from tests.feature_stores import AUDIO_SHAPE, FACE_SHAPE, load_speakers, make_spec, write_features

CPU = torch.device("cpu")
NUM_CLIPS, WINDOWS_PER_CLIP = 40, 3
NUM_WINDOWS = NUM_CLIPS * WINDOWS_PER_CLIP
WINDOW_BYTES = 24 + 2 * 24  # a row of sound and two of faces, float16


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Clips of three windows; neighbours share a crop, some are silent, some have no face."""
    folder = tmp_path_factory.mktemp("features")
    generator = np.random.default_rng(0)
    audio: dict[str, np.ndarray] = {}
    face: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for clip in range(NUM_CLIPS):
        crops = [f"clip-{clip}-crop-{crop}" for crop in range(WINDOWS_PER_CLIP + 1)]
        for window in range(WINDOWS_PER_CLIP):
            key = f"clip-{clip}-window-{window}"
            is_silent, has_no_face = clip % 7 == 3, clip % 5 == 2
            slots = crops[window : window + 2]
            if not is_silent:
                audio[key] = generator.standard_normal((4 - clip % 2, AUDIO_SHAPE[1]))
            face |= {slot: generator.standard_normal(FACE_SHAPE) for slot in slots}
            rows.append(
                {
                    "clip_id": f"clip-{clip:02}", "start": window, "stop": window + 2,
                    "has_window": True, "corpus": "c", "split": "train", "speaker_id": f"{clip}",
                    "audio_store": None if is_silent else str(folder / "audio"),
                    "audio_intermediate": None if is_silent else make_spec("audio").key_of(key),
                    "face_store": None if has_no_face else str(folder / "face"),
                    "face_intermediate": [
                        None if has_no_face else make_spec("face").key_of(slot) for slot in slots
                    ],
                }
            )  # fmt: skip
    for spec, values, rows_per_part in ((make_spec(), audio, 10), (make_spec("face"), face, 40)):
        store, part_bytes = folder / spec.modality, 24 * rows_per_part
        write_features(store, values, spec, part_bytes=part_bytes, clip_of=clip_of)
    assert len(PartStore(folder / "audio", "zarr").parts()) > 8
    assert len(PartStore(folder / "face", "zarr").parts()) > 3
    return DATASET.frame(rows)


def clip_of(key: str) -> str:
    return "-".join(key.split("-")[:2])


def stream(dataset: WindowDataset, *, seed: int | None = 0, batch_size: int = 7) -> Iterator[Batch]:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return dataset.batches(batch_size, CPU, generator=generator)


def order_of(dataset: WindowDataset, *, seed: int | None = 0) -> list[int]:
    return [window for batch in stream(dataset, seed=seed) for window in batch.windows.tolist()]


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("memory_bytes", [1, 20 * WINDOW_BYTES, 70 * WINDOW_BYTES])
def test_all_windows_come_once_with_their_features(
    table: pd.DataFrame, memory_bytes: int, seed: int | None
) -> None:
    streamed = load_speakers(table, memory_bytes=memory_bytes)
    assert streamed.in_memory is None
    [whole] = load_speakers(table).batches(NUM_WINDOWS, CPU)
    sizes = []
    windows: list[int] = []
    for batch in stream(streamed, seed=seed):
        sizes.append(len(batch.windows))
        windows += batch.windows.tolist()
        for name in ("audio_valid", "face_valid"):
            assert torch.equal(getattr(batch, name), getattr(whole, name)[batch.windows])
        has_audio, has_face = batch.audio_valid[..., None], batch.face_valid[..., None, None]
        assert torch.equal(batch.audio * has_audio, whole.audio[batch.windows] * has_audio)
        assert torch.equal(batch.face * has_face, whole.face[batch.windows] * has_face)
    assert sorted(windows) == list(range(NUM_WINDOWS))
    assert sizes[:-1] == [7] * (NUM_WINDOWS // 7)


def test_what_is_converted_while_it_is_gathered_is_what_is_stored(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some rows at a time. What a row lacks is zero, whatever was in memory before."""
    monkeypatch.setattr(streaming, "_CACHED_BYTES", 3 * WINDOW_BYTES)
    dataset = load_speakers(table)
    assert dataset.in_memory is not None
    windows = np.arange(NUM_WINDOWS)[::-1].copy()
    sevens = {name: np.full_like(part, 7) for name, part in dataset.in_memory.items()}
    for parts in (sevens, dataset.in_memory):
        halves = gather(dataset.sources, windows, parts)
        floats = gather(dataset.sources, windows, parts, torch.float32)
        assert (halves.audio.dtype, floats.audio.dtype) == (torch.float16, torch.float32)
        assert torch.equal(floats.audio, halves.audio.float())
        assert torch.equal(floats.face, halves.face.float())
        batch = dataset.label(floats, CPU)
        assert not floats.audio[~batch.audio_valid].any()
        assert not floats.face[~batch.face_valid].any()
        del halves, floats, batch  # the next ones are made where these were


def test_the_seed_decides_the_order_whatever_the_threads_do(table: pd.DataFrame) -> None:
    orders = [order_of(load_speakers(table, memory_bytes=2000), seed=seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_every_epoch_has_another_order(table: pd.DataFrame) -> None:
    dataset = load_speakers(table, memory_bytes=2000)
    generator = torch.Generator().manual_seed(0)
    epochs = [
        [batch.windows.tolist() for batch in dataset.batches(7, CPU, generator=generator)]
        for _ in range(2)
    ]
    assert epochs[0] != epochs[1]


@pytest.mark.slow
@pytest.mark.parametrize("memory_bytes", [2**20, 2000], ids=["in memory", "streamed"])
def test_weights_say_how_often_a_window_is_drawn(table: pd.DataFrame, memory_bytes: int) -> None:
    """Of 120 windows the first 30 count nine times as much: 30 * 9 / (30 * 9 + 90) = 3/4."""
    dataset = load_speakers(table, memory_bytes=memory_bytes)
    weights = torch.ones(NUM_WINDOWS)
    weights[:30] = 9
    weights[-1] = 0
    generator = torch.Generator().manual_seed(0)
    drawn: Counter[int] = Counter()
    parts = everything(dataset)
    for _ in range(20):
        batches = [*dataset.batches(7, CPU, generator=generator, weights=weights)]
        assert sum(len(batch.windows) for batch in batches) == NUM_WINDOWS
        for batch in batches:
            drawn.update(batch.windows.tolist())
            expected = dataset.label(gather(dataset.sources, batch.windows.numpy(), parts), CPU)
            assert torch.equal(batch.audio, expected.audio)
    share = sum(count for window, count in drawn.items() if window < 30) / drawn.total()
    assert share == pytest.approx(0.75, abs=0.03)
    assert NUM_WINDOWS - 1 not in drawn


def everything(dataset: WindowDataset) -> Parts:
    return read_parts(dataset.sources, dataset.part_names)


def test_a_batch_mixes_parts_as_far_as_memory_reaches(table: pd.DataFrame) -> None:
    """A third of the budget holds the parts that are mixed: one of 10 windows, or several."""

    def parts_in_a_batch(memory_bytes: int) -> float:
        dataset = load_speakers(table, memory_bytes=memory_bytes)
        part_of_window = dataset.audio.parts_of(np.arange(NUM_WINDOWS))[:, 0]
        batches = [batch.windows for batch in stream(dataset)][2:-2]
        return float(np.mean([len(set(part_of_window[windows.numpy()])) for windows in batches]))

    assert parts_in_a_batch(12 * WINDOW_BYTES) < 4 < parts_in_a_batch(100 * WINDOW_BYTES)


class CountedReads:
    """Counts how often each part is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[Path] = Counter()
        read = FeatureRows.read_part

        def count(rows: FeatureRows, number: int) -> np.ndarray:
            self.counts[rows.parts[number]] += 1
            return read(rows, number)

        monkeypatch.setattr(FeatureRows, "read_part", count)


def test_a_part_is_hardly_ever_read_twice_an_epoch(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound and faces of a clip are kept in the same order, so parts of both go together."""
    dataset = load_speakers(table, memory_bytes=60 * WINDOW_BYTES)
    reads = CountedReads(monkeypatch)
    list(stream(dataset))
    assert set(reads.counts) == {*dataset.audio.rows.parts, *dataset.face.rows.parts}
    assert sum(reads.counts.values()) <= 1.5 * len(reads.counts)


def test_parts_that_are_not_needed_any_more_are_let_go(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a few windows of every round are left over for the next one."""
    read = FeatureRows.read_part
    held: list[weakref.ref[np.ndarray]] = []

    def remember(rows: FeatureRows, number: int) -> np.ndarray:
        part = read(rows, number).view()
        held.append(weakref.ref(part))
        return part

    monkeypatch.setattr(FeatureRows, "read_part", remember)
    most = 0
    for _ in stream(load_speakers(table, memory_bytes=1), batch_size=7):
        most = max(most, sum(part() is not None for part in held))
    assert len(held) > 15
    assert most <= 8  # of this round, of the next one, and of the windows that are left


def test_nothing_is_read_before_it_is_asked_for(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = CountedReads(monkeypatch)
    batches = stream(load_speakers(table, memory_bytes=1))
    assert not reads.counts
    next(batches)
    assert 0 < sum(reads.counts.values()) < 8


def test_a_part_that_is_damaged_ends_the_epoch_with_its_name(table: pd.DataFrame) -> None:
    dataset = load_speakers(table, memory_bytes=1)
    rows = dataset.audio.rows
    gone = replace(rows, parts=(Path("part-gone.zarr"), *rows.parts[1:]))
    with pytest.raises(PartError, match=r"part-gone\.zarr cannot be read"):
        list(stream(replace(dataset, audio=replace(dataset.audio, rows=gone))))


def test_an_epoch_that_is_broken_off_leaves_no_thread(table: pd.DataFrame) -> None:
    before = threading.active_count()
    batches = stream(load_speakers(table, memory_bytes=1))
    next(batches)
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() <= before + 1  # zarr's own, which stays


def test_reading_ahead_keeps_the_order_and_one_item_ready() -> None:
    begun = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, event in enumerate(begun[:3]):
            event.set()
            yield number
        begun[3].set()

    for number in read_ahead(items()):
        assert begun[number + 1].wait(timeout=20)
    assert number == 2
