"""A text table of a corpus -> its lines, with fields by the names of the columns.

Releases of one corpus differ in delimiter, in the order and padding of columns, in quotation and in
line ends. So readers look up a field by its name.
"""

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from oragen.corpora.manifest import CorpusError


@dataclass(frozen=True)
class Line:
    """One line of a table: the text of each column; empty if there is no such column."""

    number: int
    fields: dict[str, str]
    is_too_long: bool

    def __getitem__(self, column: str) -> str:
        return self.fields.get(column, "")


def read_table(
    corpus: str,
    path: Path,
    *,
    any_of: Collection[str] = (),
    all_of: Collection[str] = (),
    quoted: bool = True,
) -> Iterator[Line]:
    """Yield the lines of a table with a header, one at a time.

    Names of columns are in lower case. Names and fields are stripped of blanks. The delimiter is
    the most frequent of comma, semicolon and tab in the header. Blank lines are skipped.

    Args:
        corpus: its name, for messages.
        path: of the table, UTF-8 with or without a byte order mark.
        any_of: columns of which one must be there.
        all_of: columns that must be there.
        quoted: quotation marks enclose fields; if False they are ordinary characters.

    Raises:
        CorpusError: no such file, not UTF-8, a stray quotation mark, or a column is missing.
    """
    if not path.is_file():
        raise CorpusError(f"Corpus {corpus!r}: there is no table at {path}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _read_lines(corpus, path, file, any_of, all_of, quoted)
    except UnicodeDecodeError as error:
        raise CorpusError(f"Corpus {corpus!r}: {path} is not UTF-8 text: {error}.") from error
    except csv.Error as error:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} is no table: {error}. Look for a stray quotation mark."
        ) from error


def _read_lines(
    corpus: str,
    path: Path,
    file: Iterator[str],
    any_of: Collection[str],
    all_of: Collection[str],
    quoted: bool,
) -> Iterator[Line]:
    header = next((line for line in file if line.strip()), "")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    delimiter = max(",;\t", key=header.count)
    (titles,) = csv.reader([header], delimiter=delimiter, quoting=quoting) if header else [[]]
    names = [name.strip().lower() for name in titles]
    _check_columns(corpus, path, names, any_of, all_of)
    lines = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=quoted)
    for fields in lines:
        stripped = [field.strip() for field in fields]
        if any(stripped):
            named = dict(zip(names, stripped, strict=False))
            yield Line(lines.line_num + 1, named, is_too_long=any(stripped[len(names) :]))


def _check_columns(
    corpus: str, path: Path, names: list[str], any_of: Collection[str], all_of: Collection[str]
) -> None:
    present = ", ".join(names) or "nothing"
    if any_of and not set(any_of) & set(names):
        raise CorpusError(
            f"Corpus {corpus!r}: {path} has no column of media: expected one of "
            f"{', '.join(any_of)}, found {present}."
        )
    if missing := [name for name in all_of if name not in names]:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} lacks the column {', '.join(missing)}; found {present}."
        )
