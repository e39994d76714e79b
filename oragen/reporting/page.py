"""Tables and pictures -> one HTML file that needs nothing else: no script, no network.

The file can be sent around, opened without a connection and printed. Its own content security
policy forbids whatever does not stand in it.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from oragen.reporting.page_style import STYLE
from oragen.schema.errors import UserError

POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
PNG_START: Final = b"\x89PNG\r\n\x1a\n"
NOT_KNOWN: Final = "–"  # in a column of numbers
NUMBER: Final = re.compile(r"[+−-]?\d[\d,]*(\.\d+)?( ?%)?( ± \d[\d,]*(\.\d+)?( ?%)?)?")


class NotAPictureError(UserError):
    """A file that a page should show is no PNG."""


@dataclass(frozen=True)
class PageTable:
    """Cells as they are to be read; a column of numbers stands flush right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"Table {self.title!r} has {len(self.columns)} columns, but a row of "
                    f"{len(row)} cells: {list(row)}."
                )


@dataclass(frozen=True)
class PagePicture:
    """A PNG, and what a reader who cannot see it is told."""

    path: Path
    alt: str
    caption: str = ""


PagePart: TypeAlias = PageTable | PagePicture


@dataclass(frozen=True)
class PageSection:
    """A heading, a paragraph for each string of `text`, then tables and pictures in their order.

    Pictures that follow each other stand side by side where there is room.
    """

    title: str
    parts: Sequence[PagePart] = ()
    text: Sequence[str] = ()


def write_page(
    path: Path,
    title: str,
    sections: Sequence[PageSection],
    *,
    summary: Sequence[str] = (),
    language: str = "en",
) -> None:
    """Write the page. All text is text: markup in it is shown, not obeyed.

    Args:
        path: of the HTML file.
        title: of the page.
        sections: in order; the table of contents lists them.
        summary: paragraphs under the title.
        language: of the text, as BCP 47 says it.

    Raises:
        NotAPictureError: when a picture is missing, or no PNG.
    """
    page = _page(title, sections, summary, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _page(
    title: str, sections: Sequence[PageSection], summary: Sequence[str], language: str
) -> str:
    anchors = [f"section-{number}" for number in range(1, len(sections) + 1)]
    named = list(zip(anchors, sections, strict=True))
    return f"""<!doctype html>
<html lang="{escape(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div class="frame">
{_contents(named)}
<main id="content">
<header>
<h1>{escape(title)}</h1>
{_paragraphs(summary)}
</header>
{_lines(_section(anchor, section) for anchor, section in named)}
</main>
</div>
</body>
</html>
"""


def _contents(named: Sequence[tuple[str, PageSection]]) -> str:
    items = _lines(
        f'<li><a href="#{anchor}">{escape(section.title)}</a></li>' for anchor, section in named
    )
    return f'<nav aria-label="Contents">\n<p>Contents</p>\n<ol>\n{items}\n</ol>\n</nav>'


def _section(anchor: str, section: PageSection) -> str:
    return f"""<section id="{anchor}" aria-labelledby="{anchor}-title">
<h2 id="{anchor}-title">{escape(section.title)}</h2>
{_paragraphs(section.text)}
{_lines(_group(parts) for parts in _neighbours(section.parts))}
</section>"""


def _neighbours(parts: Sequence[PagePart]) -> list[list[PagePart]]:
    """Pictures that follow each other are together, a table is alone."""
    groups: list[list[PagePart]] = []
    for part in parts:
        if groups and isinstance(part, PagePicture) and isinstance(groups[-1][0], PagePicture):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _group(parts: Sequence[PagePart]) -> str:
    shown = _lines(_part(part) for part in parts)
    return f'<div class="pictures">\n{shown}\n</div>' if len(parts) > 1 else shown


def _part(part: PagePart) -> str:
    match part:
        case PageTable():
            return _table(part)
        case PagePicture():
            return _picture(part)
        case _:
            assert_never(part)


def _table(table: PageTable) -> str:
    """One table that scrolls inside its own frame; the first column names the row."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    kinds = [' class="number"' if _are_numbers(column) else "" for column in columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = _lines(
        _row(row, kinds, starts_group=starts)
        for row, starts in zip(table.rows, _group_starts(table.rows), strict=True)
    )
    name = escape(table.title)
    return f"""<figure class="table">
<figcaption><strong>{name}</strong>{_note(table.note)}</figcaption>
<div class="scroll" tabindex="0" role="region" aria-label="{name}">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</figure>"""


def _group_starts(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Say which rows begin with another name than the one above, where names come repeatedly."""
    names = [row[0] for row in rows]
    starts = [above != name for above, name in zip([None, *names], names, strict=False)]
    return [start and not all(starts) for start in starts]


def _row(row: Sequence[str], kinds: Sequence[str], *, starts_group: bool) -> str:
    first, *others = zip(row, kinds, strict=True)
    cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in others)
    kind = ' class="group"' if starts_group else ""
    return f'<tr{kind}><th scope="row"{first[1]}>{escape(first[0])}</th>{cells}</tr>'


def _are_numbers(cells: Iterable[str]) -> bool:
    known = [cell for cell in cells if cell not in ("", NOT_KNOWN)]
    return bool(known) and all(NUMBER.fullmatch(cell) for cell in known)


def _picture(picture: PagePicture) -> str:
    image = _read_png(picture.path)
    width, height = (int.from_bytes(image[start : start + 4]) for start in (16, 20))
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>\n" if picture.caption else ""
    return f"""<figure class="picture" style="--width: {width}">
<img alt="{escape(picture.alt)}" width="{width}" height="{height}" \
src="data:image/png;base64,{base64.b64encode(image).decode()}">
{caption}</figure>"""


def _read_png(path: Path) -> bytes:
    image = path.read_bytes() if path.is_file() else b""
    if not image.startswith(PNG_START):
        found = "another file" if image else "nothing"
        raise NotAPictureError(
            f"{path} should be a PNG for the page, but is {found}. Run `dvc repro` to draw it."
        )
    return image


def _note(note: str) -> str:
    return f"<span>{escape(note)}</span>" if note else ""


def _paragraphs(texts: Sequence[str]) -> str:
    return _lines(f"<p>{escape(text)}</p>" for text in texts)


def _lines(pieces: Iterable[str]) -> str:
    return "\n".join(pieces)
