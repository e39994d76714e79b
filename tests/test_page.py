"""Tables and figures -> one HTML file, read back as a browser would."""

import base64
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from oragen.reporting.figures.figure import Figure
from oragen.reporting.page.rendering import STYLE_SHEET, TEMPLATE, NotAPictureError, write_page
from oragen.reporting.page.sections import PageSection, PageTable
from tests.project import REPOSITORY

VOID = {"meta", "img", "br", "hr", "link", "input"}
CHROMIUM = shutil.which("chromium")
STYLE = STYLE_SHEET.read_text(encoding="utf-8")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: "Element | None" = None
    children: list["Element"] = field(default_factory=list)
    own_text: str = ""

    def find(self, tag: str, **attributes: str) -> list["Element"]:
        """All elements below of a tag ("*": any) with these attributes, in order."""
        found = []
        for child in self.children:
            if tag in (child.tag, "*") and attributes.items() <= child.attributes.items():
                found.append(child)
            found += child.find(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        return self.own_text + "".join(child.text for child in self.children)


class Tree(HTMLParser):
    """Refuses what is not closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.open = Element("document", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.open)
        self.open.children.append(element)
        if tag not in VOID:
            self.open = element

    def handle_endtag(self, tag: str) -> None:
        assert self.open.tag == tag, f"</{tag}> closes <{self.open.tag}>"
        assert self.open.parent is not None
        self.open = self.open.parent

    def handle_data(self, data: str) -> None:
        self.open.own_text += data


def read_page(path: Path) -> Element:
    tree = Tree()
    tree.feed(path.read_text(encoding="utf-8"))
    tree.close()
    assert tree.open is tree.root
    return tree.root


def draw_square(path: Path, width: int = 40, height: int = 30) -> Path:
    assert cv2.imwrite(str(path), np.full((height, width, 3), 200, np.uint8))
    return path


TABLE = PageTable(
    "All heads",
    ["Corpus", "Head", "UAR %", "Clips", "Reason"],
    [
        ["a", "joint", "91.2 ± 0.4", "1,200", "none"],
        ["a", "face", "–", "7", ""],
        ["b", "joint", "−3.5 %", "", "5 crops"],
    ],
    "Mean over seeds.",
)


@pytest.fixture
def page(tmp_path: Path) -> Element:
    square = Figure(draw_square(tmp_path / "square.png"), "A grey square", "What is grey")
    sections = [
        PageSection("Scores", [TABLE], ["Higher is better."]),
        PageSection("Pictures", [square, square, TABLE, square]),
    ]
    write_page(
        tmp_path / "out" / "page.html", "Report", sections,
        opening=["Two heads."], facts={"Commit": "1c66188cab"}, params="train:\n  seeds: [0]\n",
    )  # fmt: skip
    return read_page(tmp_path / "out" / "page.html")


def test_the_page_is_a_whole_document_with_a_language_and_a_title(page: Element) -> None:
    (html,) = page.find("html")
    assert html.attributes == {"lang": "en"}
    assert [element.text for element in page.find("title")] == ["Report"]
    assert [element.text for element in page.find("h1")] == ["Report"]
    assert page.find("meta", charset="utf-8")
    assert "Two heads." in [element.text for element in page.find("p")]
    assert "Higher is better." in [element.text for element in page.find("p")]


def test_what_a_page_was_made_from_is_above_all_else(page: Element) -> None:
    (header,) = page.find("header")
    facts = [(fact.find("dt")[0].text, fact.find("dd")[0].text) for fact in header.find("div")]
    assert facts == [("Commit", "1c66188cab")]
    (params,) = header.find("details")
    assert params.find("pre")[0].text == "train:\n  seeds: [0]\n"
    assert "open" not in params.attributes


def test_a_page_without_facts_and_params_has_no_room_for_them(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", "Report", [PageSection("s", [TABLE])])
    page = read_page(tmp_path / "page.html")
    assert not page.find("dl")
    assert not page.find("details")


def test_nothing_in_the_page_points_outside_of_it(page: Element) -> None:
    pointing = {"src", "href", "srcset", "action", "data", "poster", "formaction", "background"}
    for element in page.find("*"):
        for name, value in element.attributes.items():
            assert not name.startswith("on"), f"{element.tag} has {name}"
            if name in pointing:
                assert value.startswith(("data:image/png;base64,", "#")), value[:80]
            assert "url(" not in value
    tags = {element.tag for element in page.find("*")}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "video"}
    assert not re.search(r"url\(|@import|https?:|expression", STYLE)


def test_the_policy_forbids_everything_but_what_stands_in_the_page(page: Element) -> None:
    (policy,) = page.find("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = policy.attributes["content"].split("; ")
    assert {"default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"} <= set(rules)
    assert not [rule for rule in rules if rule.startswith("script-src")]


def test_the_contents_lead_to_every_section(page: Element) -> None:
    (contents,) = page.find("nav")
    links = {link.attributes["href"]: link.text for link in contents.find("a")}
    sections = {f"#{s.attributes['id']}": s.find("h2")[0].text for s in page.find("section")}
    assert links == sections == {"#section-1": "Scores", "#section-2": "Pictures"}


def test_the_contents_lead_to_each_table_of_a_section_of_several(tmp_path: Path) -> None:
    square = Figure(draw_square(tmp_path / "square.png"), "A grey square")
    section = PageSection("Scores", [TABLE, square, replace(TABLE, title="Others")])
    write_page(tmp_path / "page.html", "Report", [section])
    page = read_page(tmp_path / "page.html")
    titles = {f"#{f.attributes['id']}": f for f in page.find("figure", **{"class": "table"})}
    links = {link.attributes["href"]: link.text for link in page.find("nav")[0].find("a")}
    assert links.pop("#section-1") == "Scores"
    assert list(links.values()) == ["All heads", "Others"]
    for anchor, title in links.items():
        assert titles[anchor].find("strong")[0].text == title


def test_every_anchor_is_there_once(page: Element) -> None:
    names = [element.attributes["id"] for element in page.find("*") if "id" in element.attributes]
    assert len(names) == len(set(names))
    wanted = {link.attributes["href"].removeprefix("#") for link in page.find("a")}
    wanted |= {s.attributes["aria-labelledby"] for s in page.find("section")}
    assert wanted <= set(names)


def test_a_table_holds_its_cells_in_order(page: Element) -> None:
    table = page.find("table")[0]
    assert [cell.text for cell in table.find("thead")[0].find("th")] == TABLE.columns
    rows = [[cell.text for cell in row.children] for row in table.find("tbody")[0].find("tr")]
    assert rows == TABLE.rows
    assert {row.children[0].tag for row in table.find("tbody")[0].find("tr")} == {"th"}
    figure = page.find("figure")[0]
    assert figure.find("figcaption")[0].text == "All headsMean over seeds."


def test_columns_of_numbers_are_flush_right(page: Element) -> None:
    """A dash or an empty cell is no number, but does not make the others words."""
    table = page.find("table")[0]
    for row in table.find("tr"):
        kinds = [cell.attributes.get("class", "") for cell in row.children]
        assert kinds == ["", "", "number", "number", ""]
    assert re.search(r"\.number \{\s*text-align: right", STYLE)


def test_a_line_parts_the_groups_of_a_table(page: Element) -> None:
    rows = page.find("table")[0].find("tbody")[0].find("tr")
    assert [row.attributes.get("class", "") for row in rows] == ["group", "", "group"]


def test_names_that_differ_in_every_row_make_no_groups(tmp_path: Path) -> None:
    table = PageTable("t", ["name"], [["a"], ["b"]])
    write_page(tmp_path / "page.html", "Report", [PageSection("s", [table])])
    assert not read_page(tmp_path / "page.html").find("tr", **{"class": "group"})


@pytest.mark.parametrize("rows", [[], [["only"]]])
def test_a_table_may_have_few_rows(tmp_path: Path, rows: list[list[str]]) -> None:
    write_page(
        tmp_path / "page.html", "Report", [PageSection("s", [PageTable("t", ["name"], rows)])]
    )
    assert len(read_page(tmp_path / "page.html").find("tr")) == 1 + len(rows)


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'t' has 2 columns, but a row of 1 cells: \['a'\]"):
        PageTable("t", ["one", "two"], [["a"]])


def test_a_picture_is_in_the_page_with_its_size_and_words(page: Element, tmp_path: Path) -> None:
    image = page.find("img")[0]
    prefix, content = image.attributes["src"].split(",")
    assert prefix == "data:image/png;base64"
    assert base64.b64decode(content) == (tmp_path / "square.png").read_bytes()
    assert image.attributes["alt"] == "A grey square"
    assert (image.attributes["width"], image.attributes["height"]) == ("40", "30")
    assert "What is grey" in [caption.text for caption in page.find("figcaption")]


def test_pictures_that_follow_each_other_stand_side_by_side(page: Element) -> None:
    (group,) = page.find("div", **{"class": "pictures"})
    assert len(group.find("img")) == 2
    assert len(page.find("img")) == 3


@pytest.mark.parametrize("content", [None, b"GIF89a"])
def test_what_is_no_png_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotAPictureError, match=r"picture\.png should be a PNG.*dvc repro"):
        write_page(tmp_path / "page.html", "t", [PageSection("s", [Figure(path, "")])])
    assert not (tmp_path / "page.html").exists()


EVIL = "<b>&amp; \"quoted\" 'single' </style><script>alert(1)</script>"


def test_markup_in_any_text_is_text(tmp_path: Path) -> None:
    table = PageTable(EVIL, [EVIL], [[EVIL]], EVIL)
    picture = Figure(draw_square(tmp_path / "square.png"), EVIL, EVIL)
    section = PageSection(EVIL, [table, picture], [EVIL])
    write_page(
        tmp_path / "page.html", EVIL, [section],
        opening=[EVIL], facts={EVIL: EVIL}, params=EVIL, language='en" onload="x',
    )  # fmt: skip
    page = read_page(tmp_path / "page.html")
    assert not page.find("script")
    assert not page.find("b")
    assert page.find("html")[0].attributes == {"lang": 'en" onload="x'}
    for tag in ("title", "h1", "h2", "p", "th", "figcaption", "a", "dt", "dd", "pre"):
        assert any(EVIL in element.text for element in page.find(tag)), tag
    assert page.find("img")[0].attributes["alt"] == EVIL
    assert page.find("div", role="region")[0].attributes["aria-label"] == EVIL


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_page(tmp_path / f"{name}.html", "Report", [PageSection("s", [TABLE])])
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_the_style_knows_dark_narrow_and_paper() -> None:
    for condition in ("prefers-color-scheme: dark", "max-width: 60rem", "print"):
        assert re.search(rf"@media \(?{condition}", STYLE)
    assert re.search(r"thead th \{\s*position: sticky;\s*top: 0", STYLE)
    assert re.search(r"\.scroll \{[^}]*overflow: auto", STYLE)
    assert STYLE.count("{") == STYLE.count("}")


def test_the_wheel_carries_the_template_and_the_style_sheet() -> None:
    setuptools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["oragen.reporting.page"]
    files = [path for path in STYLE_SHEET.parent.iterdir() if path.is_file()]
    carried = {path.name for path in files if any(path.match(pattern) for pattern in patterns)}
    assert carried == {path.name for path in files if path.suffix != ".py"}
    assert {STYLE_SHEET.name, TEMPLATE} <= carried


def take_shot(page: Path) -> np.ndarray:
    """Take a picture of a page in a window of 1200 x 900 pixels."""
    shot = page.with_suffix(".png")
    subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={page.parent / 'profile'}",
            f"--screenshot={shot}", "--window-size=1200,900", page.as_uri(),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    picture = cv2.imread(str(shot))
    assert picture is not None
    return picture


with_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with")


@with_chromium
def test_a_browser_shows_the_picture_and_the_style(tmp_path: Path) -> None:
    """The policy lets both through: the picture is there, where and as large as the style says."""
    picture = Figure(draw_square(tmp_path / "square.png", 400, 300), "A grey square")
    write_page(tmp_path / "page.html", "Report", [PageSection("s", [picture])])
    shot = take_shot(tmp_path / "page.html")
    columns = np.flatnonzero((shot == 200).all(axis=2).sum(axis=0) > 100)
    assert 290 < len(columns) <= 300  # 75 % of 400
    assert columns[0] > 250  # beside the contents


@pytest.mark.slow
@with_chromium
def test_a_wide_table_keeps_its_first_column_and_shows_that_it_goes_on(tmp_path: Path) -> None:
    """Midway the names are still there, with a shade at the right; at the end there is none."""
    table = PageTable("Wide", ["name", *"abcdefghij"], [["■■■■", *[""] * 10]] * 4)
    write_page(tmp_path / "page.html", "Report", [PageSection("s", [table])])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security[^>]*>', "", text)
    text = text.replace("</style>", "td { min-width: 12rem; }</style>")
    is_shaded = {}
    for left_px in (300, 9999):
        move = f"<script>document.querySelector('.scroll').scrollLeft = {left_px}</script>"
        (tmp_path / "moved.html").write_text(text + move, encoding="utf-8")
        shot = take_shot(tmp_path / "moved.html").mean(axis=2)
        names = np.argwhere(shot[260:, 280:360] < 50)
        assert len(names) > 400
        last_row = shot[260 + names[-1, 0], 1000:]
        is_shaded[left_px] = bool(last_row.min() < 215)  # the border has 223
    assert is_shaded == {300: True, 9999: False}
