"""A text from elsewhere -> one that is safe to show, or to write into a table of a spreadsheet.

Names of files and cells of tables are text that a stranger may have chosen. A terminal obeys escape
sequences, a direction override shows a name backwards, and a spreadsheet computes a formula.
"""

import logging
import re
import unicodedata
from typing import Final, TypeVar

Cell = TypeVar("Cell")

MAX_SHOWN: Final = 300  # characters of a text that one line of a message holds

# Control characters, what turns the direction of writing or is invisible, ends of lines, and the
# places of bytes that are in no known encoding.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# What OWASP names for CSV injection, behind any number of our own marks.
_FORMULA: Final = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def printable(text: str) -> str:
    r"""Return a text in one line, with escapes such as `\x1b` for what is not safe to show."""
    return _UNSAFE.sub(_escape, text)


def printable_lines(text: str) -> str:
    """Return a text of several lines, each of them as `printable` gives it."""
    return "\n".join(map(printable, text.split("\n")))


def shorten(text: str) -> str:
    """Return a text as `printable` gives it, cut to what a line of a message holds."""
    text = printable(text[: MAX_SHOWN + 1])
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: bytes of a name that are in no encoding become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def fold_name(name: str) -> str:
    """Return what names of files share that differ in case, form of Unicode or blanks around them.

    Some file systems take such names for one.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


class PrintableFormatter(logging.Formatter):
    """Formats messages of logs as `printable_lines` gives them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return printable_lines(super().format(record))


def neutralise(cell: Cell) -> Cell | str:
    """Return what to write into a CSV file, so that no spreadsheet takes a text for a formula.

    A text that begins like a formula gets a `'` in front. Numbers stay, also negative ones.
    """
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _is_number(cell):
        return cell
    return f"'{cell}"


def restore(cell: str) -> str:
    """Return the text that `neutralise` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return (
        f"\\x{code:02x}" if code < 2**8 else f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
