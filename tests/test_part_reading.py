"""Parts are read by rows and stretches of rows, in any process, beside what is no part."""

import re
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.store.rows import Located
from oragen.store.writing import PartWriter
from tests.number_stores import FORMATS, SPEC, fill, key_of, numbers


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", request.param)


def test_what_is_no_part_at_all_is_named_and_the_others_are_used(
    store: PartStore, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, range(3))
    (store.folder / f"part-0.{store.part_format}").write_text("no part")
    assert [*store.index()] == [key_of(0), key_of(1), key_of(2)]
    store.index()
    assert re.match(r".*part-0\.\w+ cannot be read", caplog.text)
    assert caplog.text.count("cannot be read") == 1


def test_stretches_of_rows_are_read_by_their_own_count(store: PartStore) -> None:
    with PartWriter(store, SPEC, part_bytes=40) as writer:
        for key in range(4):
            writer.add(key_of(key), "clip", numbers(100 * key, 10))
    with OpenParts(store) as parts:
        assert parts.read(key_of(2), 3, 5).tolist() == [[203, 203], [204, 204]]
        assert parts.read(key_of(0), 9, 10).tolist() == [[9, 9]]
        assert parts.read(key_of(2), 0, 1).tolist() == [[200, 200]]


def test_wanted_rows_are_read_part_after_part(store: PartStore) -> None:
    fill(store, range(9))
    index = store.index()
    wanted = [index[key_of(key)] for key in (8, 0, 4, 1)]
    found = [located for located, _ in store.read_many(wanted)]
    assert sorted(parts_in_order(found)) == parts_in_order(found)
    assert {located.row.key for located in found} == {key_of(8), key_of(0), key_of(4), key_of(1)}


def parts_in_order(found: list[Located]) -> list[str]:
    return [located.part.name for located in found]


class ReadingDataset(Dataset[float]):
    """Reads a store in whatever process it is asked."""

    def __init__(self, store: PartStore) -> None:
        self.store = store

    def __len__(self) -> int:
        return 4

    def __getitem__(self, item: int) -> float:
        return float(sum(values.sum() for values in read_values(self.store)))


def read_values(store: PartStore) -> list[np.ndarray]:
    return [values for _, values in store.read_many([*store.index().values()])]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
@pytest.mark.parametrize("start_method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_can_read_after_their_parent_has(store: PartStore, start_method: str) -> None:
    """The threads that decode chunks do not survive a fork: waiting for them would never end."""
    fill(store, range(12))
    expected = float(sum(values.sum() for values in read_values(store)))
    loader = DataLoader(
        ReadingDataset(store), num_workers=2, multiprocessing_context=start_method, timeout=60
    )
    assert [batch.item() for batch in loader] == [expected] * 4
