"""A text table of a corpus -> its lines, with fields by the names of the columns.

Releases of one corpus differ in delimiter, in the order and padding of columns, in quotation and in
line ends; spreadsheets add marks and encodings of their own. So readers look up a field by its
name. A table that may come from elsewhere is bounded: no line and no field is held without a limit.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, Literal, NoReturn, TextIO

from oragen.corpora.records import CorpusError
from oragen.schema.names import printable, shorten

MAX_TABLE_BYTES: Final = 2**32
MAX_LINE_CHARACTERS: Final = 2**20
READ_BYTES: Final = 2**20
MIN_GUESSED_BYTES: Final = 4
SAVE_AS: Final = "Save it as CSV UTF-8 (comma delimited)"
_WORKBOOKS: Final = {
    b"PK\x03\x04": "a workbook such as .xlsx or .ods, or an archive",
    b"\xd0\xcf\x11\xe0": "a workbook such as .xls",
}
_MARKS: Final = {  # UTF-32 begins as UTF-16 does, so it is first
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_INVISIBLE: Final = "\ufeff\u200b"
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)


class _RowError(ValueError):
    """A line that is no row; the number of the line."""


@dataclass(frozen=True)
class Line:
    """One line of a table: the text of each column; empty if there is no such column.

    `problems` are those of the whole line.
    """

    number: int
    fields: dict[str, str]
    problems: list[str] = field(default_factory=list)

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
    that of a first line `sep=;`, or the most frequent of comma, semicolon and tab in the header.
    Blank lines are skipped.

    Args:
        corpus: its name, for messages.
        path: of the table, in UTF-8 or UTF-16, with or without a byte order mark.
        any_of: columns of which one must be there.
        all_of: columns that must be there.
        quoted: quotation marks enclose fields; if False they are ordinary characters.

    Raises:
        CorpusError: no such file, no text in these encodings, a stray quotation mark, or a column
            is missing or listed twice.
    """
    rows = _read_rows(corpus, path, quoted=quoted)
    names = _to_names(next(rows, (1, []))[1])
    _check_columns(corpus, path, names, any_of, all_of)
    for number, fields in rows:
        stripped = [text.strip() for text in fields]
        if any(stripped):
            named = dict(zip(names, stripped, strict=False))
            yield Line(number, named, _find_problems(stripped, len(names)))


def read_titles(corpus: str, path: Path) -> list[str]:
    """Return the names of a table's columns in their order, in lower case; may be empty texts.

    Raises:
        CorpusError: as `read_table`.
    """
    return _to_names(next(_read_rows(corpus, path, quoted=True), (1, []))[1])


def list_repeated(names: Collection[str]) -> list[str]:
    """Return the names that are listed more than once, but for empty ones."""
    return [name for name, count in Counter(names).items() if name and count > 1]


def refuse_repeated(corpus: str, path: Path, repeated: list[str]) -> None:
    """Raise a CorpusError for columns that are listed twice."""
    if repeated:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} has the column {shorten(', '.join(repeated))} twice, so "
            "it is not clear which one counts. Rename or remove one of them."
        )


def _find_problems(fields: list[str], num_columns: int) -> list[str]:
    problems = ["more fields than columns"] if any(fields[num_columns:]) else []
    return [*problems, "a NUL character"] if any("\0" in text for text in fields) else problems


def _to_names(titles: list[str]) -> list[str]:
    return [title.strip(_INVISIBLE).strip().lower() for title in titles]


def _read_rows(corpus: str, path: Path, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line at which each row ends, and its fields; the header is first."""
    encoding = _choose_encoding(corpus, path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            yield from _split_rows(_read_lines(corpus, path, file), quoted=quoted)
    except UnicodeError as error:
        _refuse_encoding(corpus, path, encoding, error)
    except _RowError as error:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} is no table: line {error} cannot be split into fields of "
            f"{csv.field_size_limit():,} characters at most. Look for a stray quotation mark in "
            "it, or above it."
        ) from error
    except OSError as error:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} cannot be read: {error.strerror}. Check its permissions "
            "and its disk."
        ) from error


def _choose_encoding(corpus: str, path: Path) -> str:
    """Look at the first bytes of a table; refuse what is no text."""
    if not path.is_file():
        raise CorpusError(
            f"Corpus {corpus!r}: there is no table at {path}. Put it there, or correct "
            f"corpora.{corpus} in params.yaml."
        )
    if (num_bytes := path.stat().st_size) > MAX_TABLE_BYTES:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} has {num_bytes:,} bytes, expected {MAX_TABLE_BYTES:,} at "
            "most. Divide it into a table for each split."
        )
    with path.open("rb") as file:
        head = file.read(16)
    for mark, kind in _WORKBOOKS.items():
        if head.startswith(mark):
            raise CorpusError(
                f"Corpus {corpus!r}: {path} is {kind}, expected a text table. {SAVE_AS}."
            )
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    return marked or _guess_utf16(head) or "utf-8-sig"


def _guess_utf16(head: bytes) -> str | None:
    """Recognise UTF-16 without a mark: every second byte of a header in Latin letters is NUL."""
    even, odd = head[:-1:2], head[1::2]
    if len(head) < MIN_GUESSED_BYTES:
        return None
    if not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if not any(even) and all(odd) else None


def _refuse_encoding(corpus: str, path: Path, encoding: str, error: UnicodeError) -> NoReturn:
    if not encoding.startswith("utf-8"):
        raise CorpusError(
            f"Corpus {corpus!r}: {path} is not {encoding.upper()} text, though it begins as "
            f"such; it may be cut off. {SAVE_AS}."
        ) from error
    number, found = _find_undecodable(path)
    raise CorpusError(
        f"Corpus {corpus!r}: {path} is not UTF-8 text: line {number} has the byte 0x{found:02x}. "
        f"{SAVE_AS}, or convert it from its code page with `iconv -f WINDOWS-1252 -t UTF-8` "
        "(Cyrillic: WINDOWS-1251)."
    ) from error


def _find_undecodable(path: Path) -> tuple[int, int]:
    """Return the line and the value of the first byte that is not UTF-8."""
    decoder, number = codecs.getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(READ_BYTES)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                number += _count_lines(error.object[: error.start])
                return number, error.object[error.start]
            number += _count_lines(chunk)


def _count_lines(text: bytes) -> int:
    return text.count(b"\n") or text.count(b"\r")


def _read_lines(corpus: str, path: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE_CHARACTERS):
        number += 1
        if len(line) == MAX_LINE_CHARACTERS and not line.endswith(("\n", "\r")):
            raise CorpusError(
                f"Corpus {corpus!r}: line {number} of {path} is longer than "
                f"{MAX_LINE_CHARACTERS:,} characters, so it is no line of a table of clips. "
                "Check that the file is a table with a line for each clip."
            )
        yield line


def _split_rows(lines: Iterator[str], *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Split lines into rows of fields, from the header on."""
    above, header = _find_text(lines)
    delimiter = None
    if match := _SEPARATOR_LINE.fullmatch(header.strip("\r\n")):
        delimiter = match[1]
        more, header = _find_text(lines)
        above += 1 + more
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    rows = csv.reader(
        chain([header], lines),
        delimiter=delimiter or _find_delimiter(header, quoted=quoted),
        quoting=quoting,
        strict=quoted,
    )
    try:
        for fields in rows:
            yield above + rows.line_num, fields
    except csv.Error as error:
        raise _RowError(above + rows.line_num) from error


def _find_text(lines: Iterator[str]) -> tuple[int, str]:
    """Return the number of blank lines, and the line below them without invisible marks."""
    for number, line in enumerate(lines):
        if (text := line.strip(_INVISIBLE)).strip():
            return number, text
    return 0, ""


def _find_delimiter(header: str, *, quoted: bool) -> str:
    bare = re.sub(r'"[^"]*"', "", header) if quoted else header
    return max(",;\t", key=bare.count)


def _check_columns(
    corpus: str, path: Path, names: list[str], any_of: Collection[str], all_of: Collection[str]
) -> None:
    present = shorten(", ".join(map(printable, names)) or "nothing")
    if any_of and not set(any_of) & set(names):
        raise CorpusError(
            f"Corpus {corpus!r}: {path} has no column of media: expected one of "
            f"{', '.join(any_of)}, found {present}. Correct the header of the table."
        )
    if missing := [name for name in all_of if name not in names]:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} lacks the column {', '.join(missing)}; found {present}. "
            "Correct the header of the table."
        )
    used = {*any_of, *all_of}
    refuse_repeated(corpus, path, [name for name in list_repeated(names) if name in used])
