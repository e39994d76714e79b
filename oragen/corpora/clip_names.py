"""Records of clips -> a stem for each that tells it from the others; a spelling for each speaker.

A stem is the name of a file without its suffix. That is not enough for `001.wav` beside `001.jpg`,
or for two faces in one picture. Only stems that records of different files or faces share are made
longer, so that a clip keeps its id as long as it was clear.
"""

import unicodedata
from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

PATHS: Final = ("audio_path", "video_path", "image_path")
Texts = np.ndarray  # of objects: a text a record


def tell_apart(table: pa.Table) -> pa.Table:
    """Make stems longer where records of different files, or of different faces, share one.

    Args:
        table: a row a record, with the columns `stem`, `face_box` and those of `PATHS`.
    """
    if _are_clear(table):
        return table
    stems = np.array(table["stem"].to_pylist(), dtype=object)
    for name_all in (_name_files, _name_faces):
        while _lengthen(stems, table, name_all):
            pass
    index = table.column_names.index("stem")
    return table.set_column(index, "stem", pa.array(stems, pa.string()))


def _are_clear(table: pa.Table) -> bool:
    """Return whether no stem is shared, as it mostly is; without a Python object for each stem."""
    repeated = np.flatnonzero(_is_repeated(table["stem"]))
    some = table.take(pa.array(repeated))
    stems, names = np.array(some["stem"].to_pylist(), object), np.array(_name_faces(some), object)
    return not _is_shared(stems, names).any()


def _lengthen(stems: Texts, table: pa.Table, name_all: Callable[[pa.Table], list[str]]) -> bool:
    """Replace the stems that records of different names share by these names, if there are any."""
    numbers = np.flatnonzero(_is_repeated(stems))
    names = np.array(name_all(table.take(pa.array(numbers))), dtype=object)
    is_short = _is_shared(stems[numbers], names) & (stems[numbers] != names)
    stems[numbers[is_short]] = names[is_short]
    return bool(is_short.any())


def _is_shared(stems: Texts, names: Texts) -> Bool[np.ndarray, " records"]:
    """Return whether another record has the same stem, but another name."""
    codes = _to_codes(stems)
    name_codes = _to_codes(names)
    _, first = np.unique(codes, return_index=True)  # stem -> its first record
    is_shared = np.zeros(len(first), dtype=bool)
    is_shared[codes[name_codes != name_codes[first[codes]]]] = True
    return np.asarray(is_shared[codes])


def _is_repeated(stems: Texts | pa.ChunkedArray) -> Bool[np.ndarray, " records"]:
    codes = _to_codes(stems)
    return np.asarray(np.bincount(codes)[codes] > 1)


def _to_codes(texts: Texts | pa.ChunkedArray) -> Int64[np.ndarray, " records"]:
    column = texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts], pa.string())
    array = column.combine_chunks().dictionary_encode()
    return np.asarray(array.indices.to_numpy(), np.int64)


def _name_files(table: pa.Table) -> list[str]:
    """Return the names of each record's files, joined; its stem where it has none."""
    columns = [table[name].to_pylist() for name in ("stem", *PATHS)]
    return [
        "+".join(dict.fromkeys(filter(None, paths))) or stem
        for stem, *paths in zip(*columns, strict=True)
    ]


def _name_faces(table: pa.Table) -> list[str]:
    return [
        file if box is None else "/".join([file, "_".join(f"{edge:g}" for edge in box)])
        for file, box in zip(_name_files(table), table["face_box"].to_pylist(), strict=True)
    ]


def join_spellings(speakers: pa.Array) -> pa.Array:
    """Give a speaker one spelling whose name is in two forms of Unicode; others keep theirs."""
    encoded = speakers.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    composed = [unicodedata.normalize("NFC", name) for name in names]
    spellings: dict[str, set[str]] = {}
    for name, form in zip(names, composed, strict=True):
        spellings.setdefault(form, set()).add(name)
    chosen = [
        form if len(spellings[form]) > 1 else name
        for name, form in zip(names, composed, strict=True)
    ]
    if chosen == names:
        return speakers
    return pc.take(pa.array(chosen, pa.string()), encoded.indices)
