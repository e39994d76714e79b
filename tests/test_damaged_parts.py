"""Damage is noticed by the run that meets it: what a damaged part held is made again, once."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from oragen.features.rows import locate_features
from oragen.isolation.workers import ThisProcess
from oragen.schema.vocabulary import Made
from oragen.store import formats, proofs
from oragen.store.failures import DamagedPartError
from oragen.store.fill import Wanted, fill_store
from oragen.store.formats import PartFormat, map_values, read_layout, verify_part
from oragen.store.layouts import PartLayout, crc_of_values
from oragen.store.locks import LOCK_NAME
from oragen.store.parts import MissingRowsError, PartStore
from oragen.store.proofs import NOTE_NAME
from oragen.store.reading import OpenParts
from oragen.store.writing import PartWriter
from tests.earlier_parts import make_earlier
from tests.feature_stores import make_spec, write_features

KEYS = [f"{number:032x}" for number in range(4)]
FORMATS: tuple[PartFormat, ...] = ("h5", "zarr")


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    """Four rows of three numbers each, in one part."""
    store = PartStore(tmp_path / "store", request.param)
    fill(store)
    return store


def make(number: int) -> Made:
    return Made(np.full((3, 2), number, np.float16), None, {"notes": []})


def fill(store: PartStore, part_bytes: int = 2**20) -> int:
    """Make what the store lacks; return how many rows that was."""
    return fill_store(
        store,
        {key: Wanted(f"clip {number}", number) for number, key in enumerate(KEYS)},
        make,
        nothing=np.zeros((0, 2), np.float16),
        spec={},
        part_bytes=part_bytes,
        workers=ThisProcess(),
        libraries=[],
        title="test",
    ).num_made


def read_all(store: PartStore) -> dict[str, list[list[float]]]:
    rows = store.read_many([*store.index().values()])
    return {located.row.key: values.tolist() for located, values in rows}


def replace(part: Path, old: bytes, new: bytes) -> None:
    """Change the bytes in the one file of a part that has them."""
    for file in [part, *part.rglob("*")]:
        if file.is_file() and old in (content := file.read_bytes()):
            file.write_bytes(content.replace(old, new, 1))
            return
    raise AssertionError(f"{part} does not hold {old!r}")


def flip_a_value(part: Path) -> None:
    two = np.full(3, 2, np.float16).tobytes()
    replace(part, two, bytes([two[0] ^ 1, *two[1:]]))


def swap_two_rows(part: Path) -> None:
    """Exchange where the first two rows are."""
    if has_arrow(part):
        replace(part, struct.pack("<4q", 0, 3, 6, 9), struct.pack("<4q", 3, 0, 6, 9))
        replace(part, struct.pack("<4q", 3, 6, 9, 12), struct.pack("<4q", 6, 3, 9, 12))
        return
    if part.is_file():
        replace(part, b'"start": [0, 3,', b'"start": [3, 0,')
        replace(part, b'"stop": [3, 6,', b'"stop": [6, 3,')
        return
    group = json.loads((part / "zarr.json").read_text())
    for column in ("start", "stop"):
        rows = group["attributes"]["head"]["entries"][column]
        rows[:2] = rows[1::-1]
    (part / "zarr.json").write_text(json.dumps(group))


def change_a_clip(part: Path) -> None:
    replace(part, b"clip 1", b"clip 3")


def has_arrow(part: Path) -> bool:
    """Whether a part has its rows as Arrow, and not as JSON as in earlier versions."""
    return read_layout(part, "h5" if part.is_file() else "zarr").rows is not None


def change_a_key(part: Path) -> None:
    if has_arrow(part):
        replace(part, bytes.fromhex(KEYS[1]), bytes.fromhex(KEYS[3]))
        return
    replace(part, KEYS[1].encode(), KEYS[1].replace("1", "9").encode())


def cut(part: Path) -> None:
    file = part if part.is_file() else part / "values" / "c" / "0" / "0"
    file.write_bytes(file.read_bytes()[:-1])


DAMAGES = (flip_a_value, swap_two_rows, change_a_clip, change_a_key, cut)
damages = pytest.mark.parametrize("damage", DAMAGES)


@damages
def test_what_a_damaged_part_held_is_made_again_and_dvc_does_not_see_it(
    store: PartStore, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = read_all(store)
    (part,) = store.parts()
    damage(part)
    assert fill(store) == 4
    assert part.name in caplog.text
    assert read_all(store) == before
    (made,) = store.parts()
    verify_part(made, store.part_format)
    (aside,) = store.parts_aside()
    assert aside.match("*.damaged-*")  # as in .dvcignore
    assert fill(store) == 0


def test_damage_of_several_kinds_at_once_is_mended(store: PartStore) -> None:
    """The table of one part, and values of another: the others are read again without both."""
    before = read_all(store)
    shutil.rmtree(store.folder)
    fill(store, part_bytes=24)  # two rows a part
    one, two = store.parts()
    change_a_clip(store.index()[KEYS[1]].part)
    flip_a_value(store.index()[KEYS[2]].part)
    assert fill(store) == 4
    assert read_all(store) == before
    assert len(store.parts_aside()) == 2
    assert {aside.name.partition(".")[0] for aside in store.parts_aside()} == {one.stem, two.stem}


def test_dvc_does_not_look_at_what_a_store_keeps_beside_its_parts() -> None:
    ignored = (Path(__file__).parents[1] / ".dvcignore").read_text().splitlines()
    assert {"*.unfinished*", "*.damaged-*", LOCK_NAME, NOTE_NAME} <= {*ignored}


@damages
def test_a_reader_never_uses_damage(store: PartStore, damage: Callable[[Path], None]) -> None:
    (part,) = store.parts()
    damage(part)
    with pytest.raises((DamagedPartError, MissingRowsError), match="cache verify --remove"):
        [*store.read_many([*store.require(KEYS).values()])]
    with OpenParts(store) as parts, pytest.raises((DamagedPartError, MissingRowsError)):
        [parts.read(key, 0, 1) for key in KEYS]
    assert store.parts() == [part]  # a reader removes nothing


@pytest.mark.parametrize("age_s", [0, 10])
def test_a_part_is_compared_again_when_its_file_changed(
    tmp_path: Path, age_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then a process compares it once; in the first seconds of its life, each time."""
    monkeypatch.setattr(formats, "_RECENT_S", 2.0 - age_s)
    compared: list[PartLayout] = []

    def compare(layout: PartLayout) -> int:
        compared.append(layout)
        return crc_of_values(layout)

    monkeypatch.setattr(formats, "crc_of_values", compare)
    store = PartStore(tmp_path / "store", "zarr")
    fill(store)
    (part,) = store.parts()
    compared.clear()
    for _ in range(3):
        before = map_values(part)
    assert len(compared) == (1 if age_s else 3)
    assert before.tolist() == [[number] * 2 for number in range(4) for _ in range(3)]
    written = (values := part / "values" / "c" / "0" / "0").stat()
    replace(part, before[:1].tobytes(), np.full((1, 2), 9, np.float16).tobytes())
    os.utime(values, ns=(written.st_atime_ns, written.st_mtime_ns))
    with pytest.raises(DamagedPartError, match="checksum of its values"):
        map_values(part)


def test_the_next_run_reads_no_part_again_that_is_as_it_was(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was compared is noted in the store, for the process of the next stage."""
    monkeypatch.setattr(proofs, "_RECENT_NS", 0)
    monkeypatch.setattr(formats, "_proven", {})
    compared: list[Path] = []

    def compare(layout: PartLayout) -> int:
        compared.append(layout.path)
        return crc_of_values(layout)

    monkeypatch.setattr(formats, "crc_of_values", compare)

    def fill_in_a_new_process() -> int:
        formats._proven.clear()
        compared.clear()
        return fill(store)

    (part,) = store.parts()
    assert fill_in_a_new_process() == 0
    assert compared == [part]
    (file := read_layout(part, store.part_format).file).chmod(0o444)  # as DVC does
    assert fill_in_a_new_process() == 0
    assert not compared
    file.chmod(0o644)
    note = store.folder / NOTE_NAME
    of_another = json.dumps({part.name: ["a"]})
    for text in ("", "[]", '{"part-x.h5": 1}', of_another, "nan", "[" * 10**6, "\xff"):
        note.write_bytes(text.encode("latin-1"))
        assert fill_in_a_new_process() == 0
        assert compared == [part], text
    flip_a_value(part)
    assert fill_in_a_new_process() == 4


@damages
@pytest.mark.parametrize("with_checksums", [True, False])
def test_damage_is_found_in_parts_of_earlier_versions(
    store: PartStore, damage: Callable[[Path], None], with_checksums: bool
) -> None:
    """The earliest have no checksum of their rows, and those of HDF5 none of their values."""
    before = read_all(store)
    part = make_earlier(store.parts()[0], store.part_format, with_checksums=with_checksums)
    assert (read_layout(part, store.part_format).header_crc is not None) == with_checksums
    assert fill(store) == 0
    assert read_all(store) == before
    damage(part)
    with pytest.raises((DamagedPartError, MissingRowsError), match="cache verify --remove"):
        [*store.read_many([*store.require(KEYS).values()])]
    assert fill(store) == 4
    assert read_all(store) == before


def test_a_row_is_trusted_by_its_own_checksum(store: PartStore) -> None:
    """Only what is wanted is read: damage to another row of the part does not matter here."""
    (part,) = store.parts()
    flip_a_value(part)
    with OpenParts(store) as parts:
        for _ in range(2):
            assert parts.read(KEYS[1], 1, 3).tolist() == [[1, 1], [1, 1]]
        for _ in range(2):
            with pytest.raises(DamagedPartError, match=f"row {KEYS[2]}.*verify --remove"):
                parts.read(KEYS[2], 0, 1)


def test_rows_of_earlier_parts_are_compared_with_the_whole(store: PartStore) -> None:
    part = make_earlier(store.parts()[0], store.part_format)
    with OpenParts(store) as parts:
        assert parts.read(KEYS[1], 1, 3).tolist() == [[1, 1], [1, 1]]
    flip_a_value(part)
    with OpenParts(store) as parts, pytest.raises(DamagedPartError):
        parts.read(KEYS[1], 1, 3)


def test_a_whole_copy_elsewhere_is_used_for_a_damaged_row(store: PartStore) -> None:
    before = read_all(store)
    other = PartStore(store.folder.parent / "other", store.part_format)
    fill(other, part_bytes=24)  # two rows a part
    for part in other.parts():
        shutil.move(part, store.folder / part.name)
    assert len(store.parts()) == 3
    for part in store.parts()[1:]:
        layout = read_layout(part, store.part_format)
        content = bytearray(layout.file.read_bytes())
        content[layout.offset] ^= 1
        layout.file.write_bytes(content)
    fill(store)
    assert read_all(store) == before


def test_damage_that_comes_out_again_takes_no_part_of_the_same_name(store: PartStore) -> None:
    """The same rows make a part of the same name, where the damaged one is."""
    (part,) = store.parts()
    flip_a_value(part)
    with PartWriter(store, {}, 2**20) as writer:
        for number, key in enumerate(KEYS):
            writer.add(key, f"clip {number}", make(number).values, details={"notes": []})
    assert writer.written == [part]
    verify_part(part, store.part_format)


def test_checksums_are_those_of_any_crc32c(store: PartStore) -> None:
    (part,) = store.parts()
    layout = read_layout(part, store.part_format)
    values = np.concatenate([make(number).values for number in range(4)])
    assert layout.values_crc == google_crc32c.value(values.tobytes())
    described = json.dumps(layout.header, sort_keys=True) + "<f2(12, 2)"
    assert layout.rows is not None
    assert layout.header_crc == google_crc32c.value(described.encode() + layout.rows)


def test_features_that_say_another_size_than_they_have_are_refused(tmp_path: Path) -> None:
    """Batches are made after the size in the spec."""
    spec = make_spec(shape=(4, 3))
    keys = write_features(tmp_path, {"a": np.zeros((4, 3))}, spec)
    (part,) = PartStore(tmp_path, "zarr").parts()
    values = np.zeros((4, 3), np.float16)
    for shape in ([2, 3], [4, 4], [10**9, 3], [0, 3], "4, 3", [4.0, 3]):
        shutil.rmtree(part, ignore_errors=True)
        for old in PartStore(tmp_path, "zarr").parts():
            shutil.rmtree(old)
        with PartWriter(
            PartStore(tmp_path, "zarr"), {**spec.as_json(), "shape": shape}, None
        ) as writer:
            writer.add(keys["a"], "clip", values)
        with pytest.raises(DamagedPartError, match="spec"):
            locate_features({str(tmp_path): [keys["a"]]})
        write_features(tmp_path, {"a": np.zeros((4, 3))}, spec)  # which sets it aside
        assert len(locate_features({str(tmp_path): [keys["a"]]})) == 1
