"""Sections -> one HTML file that needs nothing else: no script, no network.

The file can be sent around, opened offline and printed. Its content security policy forbids
everything that is not in the file.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from oragen.reporting.figures.figure import Figure
from oragen.reporting.page.sections import PagePart, PageSection, PageTable
from oragen.reporting.table_formats import TOO_SMALL
from oragen.schema.errors import UserError
from oragen.schema.files import write_text
from oragen.schema.names import printable_lines

FOLDER: Final = Path(__file__).parent
TEMPLATE: Final = "page.html.jinja"
STYLE_SHEET: Final = FOLDER / "style.css"
POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
PNG_START: Final = b"\x89PNG\r\n\x1a\n"
NOT_KNOWN: Final = "–"  # in a column of numbers
NUMBER: Final = re.compile(r"[+−-]?\d[\d,]*(\.\d+)?( ?%)?( ± \d[\d,]*(\.\d+)?( ?%)?)?")


class NotAPictureError(UserError):
    """A file that a page should show is no PNG."""


class _Image(NamedTuple):
    """A figure as the template shows it."""

    alt: str
    caption: str
    width: int
    height: int
    base64: str


def write_page(
    path: Path,
    title: str,
    sections: Sequence[PageSection],
    *,
    opening: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    params: str = "",
    language: str = "en",
) -> None:
    """Write the page. All text is text: markup in it is shown, not obeyed.

    Args:
        path: of the HTML file.
        title: of the page.
        sections: in order; the table of contents lists them.
        opening: paragraphs under the title.
        facts: above them, what the page was made from; name -> value.
        params: below them, lines that a reader unfolds.
        language: of the text, a BCP 47 tag.

    Raises:
        NotAPictureError: when a picture is missing, or no PNG.
    """
    page = _load_template().render(
        title=title,
        sections=sections,
        opening=opening,
        facts=facts or {},
        params=params,
        language=language,
        policy=POLICY,
        style=STYLE_SHEET.read_text(encoding="utf-8"),
    )
    write_text(path, page)


def _load_template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_show,
    )
    environment.filters |= {
        "group_figures": _group_figures,
        "number_columns": _number_columns,
        "group_starts": _group_starts,
        "image": _read_image,
    }
    environment.tests["table"] = lambda part: isinstance(part, PageTable)
    return environment.get_template(TEMPLATE)


def _show(value: object) -> object:
    """Escape in any text of the page what is not safe to show, beside its markup."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable_lines(str(value)) if is_text else value


def _group_figures(parts: Sequence[PagePart]) -> list[list[PagePart]]:
    """Put figures that follow each other into one group; a table is alone."""
    groups: list[list[PagePart]] = []
    for part in parts:
        if groups and isinstance(part, Figure) and isinstance(groups[-1][0], Figure):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _number_columns(table: PageTable) -> list[bool]:
    """Return which columns hold numbers alone."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    return [_are_numbers(column) for column in columns]


def _are_numbers(cells: Iterable[str]) -> bool:
    known = [cell for cell in cells if cell not in ("", NOT_KNOWN, TOO_SMALL)]
    return bool(known) and all(NUMBER.fullmatch(cell) for cell in known)


def _group_starts(table: PageTable) -> list[bool]:
    """Return which rows begin with another name than the one above, where names are repeated."""
    names = [row[0] for row in table.rows]
    starts = [above != name for above, name in zip([None, *names], names, strict=False)]
    return [start and not all(starts) for start in starts]


def _read_image(figure: Figure) -> _Image:
    content = figure.path.read_bytes() if figure.path.is_file() else b""
    if not content.startswith(PNG_START):
        found = "another file" if content else "missing or empty"
        raise NotAPictureError(
            f"{figure.path} should be a PNG for the page, but is {found}. Run `dvc repro` to draw "
            "it."
        )
    width, height = (int.from_bytes(content[start : start + 4]) for start in (16, 20))
    return _Image(
        figure.alt, figure.caption, width, height, base64.b64encode(content).decode("ascii")
    )
