"""The rows of a part as Arrow: they come back as they were, and nothing else is accepted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from oragen.store.failures import DamagedPartError
from oragen.store.formats import PartFormat, map_values, read_layout, write_values
from oragen.store.inventory import find_damage
from oragen.store.parts import PartStore
from oragen.store.row_tables import COLUMNS, from_rows, parse_rows, to_bytes
from oragen.store.rows import Row
from oragen.store.writing import PartWriter, write_part
from tests.earlier_parts import make_earlier, write_earlier_part
from tests.number_stores import FORMATS, SPEC, fill, key_of, make_folder, numbers, read_all

ROWS = [
    Row(key_of("a"), "корпус/клип", 0, 3, None, {"boxes": [[0.1, 2e-8]], "notes": ["ж"]}, 7),
    Row(key_of("b"), "clip", 3, 3, "no speech", {}, 0),
]


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", request.param)


def test_rows_come_back_as_they_were() -> None:
    table = parse_rows(to_bytes(from_rows(ROWS)), 3)
    assert table.to_rows() == ROWS
    assert [row.crc32c for row in table.to_rows()] == [7, 0]
    assert len(parse_rows(to_bytes(from_rows([])), 0)) == 0


def test_reading_rows_copies_nothing() -> None:
    content = to_bytes(from_rows(ROWS))
    source = pa.py_buffer(content)
    for column in parse_rows(content, 3).columns.columns:
        for buffer in filter(None, column.buffers()):
            assert source.address <= buffer.address < source.address + source.size


def write_stream(
    columns: Sequence[pa.Array] | None = None,
    schema: pa.Schema = COLUMNS,
    *,
    times: int = 1,
    **options: Any,
) -> bytes:
    """A stream that oragen did not write."""
    arrays = from_rows(ROWS).columns.columns if columns is None else columns
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        for _ in range(times):
            stream.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def change(**columns: pa.Array) -> bytes:
    """A stream of our columns with other content."""
    batch = from_rows(ROWS).columns
    return write_stream([columns.get(name, batch[name]) for name in COLUMNS.names])


FEWER = pa.schema(list(COLUMNS)[:6])
NAMED = COLUMNS.with_metadata({"pandas": "{}"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no stream of Arrow"),
        (b"\0" * 64, "no stream of Arrow|no plain batch|columns"),
        (write_stream(compression="zstd"), "no plain batch"),
        (write_stream(compression="lz4"), "no plain batch"),
        (write_stream(times=2), "end otherwise"),
        (write_stream(times=0), "no stream of Arrow|no plain batch"),
        (write_stream(schema=NAMED), "exactly the columns"),
        (write_stream(from_rows(ROWS).columns.columns[:6], FEWER), "exactly the columns"),
        (to_bytes(from_rows(ROWS)) + b"\0", "end otherwise"),
        (to_bytes(from_rows(ROWS))[:-8], "end otherwise"),
        (to_bytes(from_rows(ROWS))[:300], "no stream of Arrow"),
        (change(stop=pa.array([4, 3])), "from 0 to 4, of 3"),
        (change(start=pa.array([-1, 3])), "from -1 to 3"),
        (change(start=pa.array([2, 3]), stop=pa.array([1, 3])), "from 2 to 1"),
        (change(crc32c=pa.array([None, 1], pa.uint32())), "no crc32c"),
        (change(clip_id=pa.array(["a", None])), "no clip_id"),
        (change(details=pa.array(["[]", None])), "no object"),
        (change(details=pa.array(["{", None])), "Expecting"),
        (change(details=pa.array(['{"a": NaN}', None])), "NaN"),
        (change(details=pa.array(["," * 2**23, "["])), "items"),
    ],
)  # fmt: skip
def test_rows_are_what_we_write(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_rows(content, 3)


def test_text_that_is_none_is_refused() -> None:
    content = to_bytes(from_rows(ROWS))
    assert content.count(b"clip") == 2  # a name of a column is the other
    with pytest.raises(ValueError, match="no stream of Arrow"):
        parse_rows(content.replace(b"clip\0", b"cl\xff\xfe\0"), 3)


def test_every_changed_byte_is_refused_or_means_nothing() -> None:
    """Without a checksum: whoever makes a part can make that, too."""
    content = to_bytes(from_rows(ROWS))
    for place in range(len(content)):
        for value in (0, 1, 127, 255):
            spoilt = content[:place] + bytes([value]) + content[place + 1 :]
            try:
                table = parse_rows(spoilt, 3)
            except ValueError:
                continue
            assert len(table) == len(table.keys) == len(table.to_rows()) <= 2


@pytest.mark.parametrize("with_checksums", [True, False])
def test_parts_of_earlier_versions_are_read_as_they_are(
    store: PartStore, with_checksums: bool
) -> None:
    fill(store, range(8))
    before = read_all(store)
    rows = {key: located.row for key, located in store.index().items()}
    for part in store.parts():
        make_earlier(part, store.part_format, with_checksums=with_checksums)
    assert read_all(store) == before
    assert {key: located.row for key, located in store.index().items()} == rows
    assert [find_damage(part, store.part_format) for part in store.parts()] == [None] * 3


def test_old_and_new_parts_go_together_and_nothing_is_made_again(store: PartStore) -> None:
    fill(store, range(6))
    for part in store.parts():
        make_earlier(part, store.part_format)
    fill(store, range(6, 9))
    assert len(store.parts()) == 3
    assert read_all(store) == {key_of(key): [[key, key]] for key in range(9)}
    assert [*store.require([key_of(7), key_of(2)])] == [key_of(7), key_of(2)]
    assert store.locate([key_of(key) for key in range(9)], mend=True).are_found.all()


def test_an_earlier_part_has_the_name_that_it_had(tmp_path: Path) -> None:
    """DVC and colleagues know it by that name."""
    rows = [Row(key_of(key), f"clip-{key}", key, key + 1) for key in range(3)]
    part = write_earlier_part(tmp_path, "zarr", numbers(0, 3), rows, SPEC)
    assert part.name == "part-02798b8b340bd73d3a1fd23c9495877a.zarr"


def test_a_part_says_in_which_of_two_ways_its_rows_are(store: PartStore) -> None:
    """Rows in the header beside Arrow, or none at all, are not what oragen writes."""
    part = write_part(make_folder(store), store.part_format, numbers(0), [], SPEC)
    header = dict(read_layout(part, store.part_format).header)
    both = part.with_name(f"part-{'0' * 32}.{store.part_format}")
    if store.part_format == "zarr":
        both.mkdir()
    columns: dict[str, Any] = {
        name: [] for name in ("key", "clip_id", "start", "stop", "reason", "details")
    }
    rows = to_bytes(from_rows([]))
    write_values(both, store.part_format, numbers(0), {**header, "entries": columns}, rows)
    with pytest.raises(DamagedPartError, match="exactly the fields"):
        read_layout(both, store.part_format)


@pytest.mark.parametrize("part_format", FORMATS)
def test_a_checksum_is_kept_of_each_row(tmp_path: Path, part_format: PartFormat) -> None:
    store = PartStore(tmp_path, part_format)
    with PartWriter(store, SPEC, 2**20) as writer:
        for key in range(3):
            writer.add(key_of(key), "clip", numbers(7))
    (part,) = store.parts()
    checksums = {row.crc32c for row in read_layout(part, part_format).table.to_rows()}
    assert len(checksums) == 1
    assert np.array_equal(map_values(part, part_format), np.full((3, 2), 7))
