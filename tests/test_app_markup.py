"""HTML and style sheets of the page: well-formed, and known to a browser to the last declaration.

The scripts are checked by oxlint, see `make check`.
"""

import re
from html.parser import HTMLParser

import pytest
from playwright.sync_api import Browser

from oragen.app.application import PAGE
from tests.browsing import App, visit, with_chromium

VOID = {"meta", "link", "input", "br", "hr", "img"}  # elements without an end
REFERENCES = ("for", "aria-labelledby", "aria-controls", "aria-describedby")
STYLES = sorted(PAGE.glob("*.css"))


def made_by_scripts() -> set[str]:
    """Return ids of elements that scripts make."""
    scripts = "".join(path.read_text("utf-8") for path in PAGE.glob("*.js"))
    return set(re.findall(r'\bid: "([^"]+)"', scripts))


class Markup(HTMLParser):
    """Gathers ids and what refers to them; an end must close what was begun last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        assert len(values) == len(attrs), f"<{tag}> has an attribute twice"
        assert not {name for name in values if name.startswith("on") or name == "style"}
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        for name in REFERENCES:
            self.references |= set(values.get(name, "").split())

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"


def test_the_page_is_well_formed() -> None:
    for path in PAGE.glob("*.html"):
        markup = Markup()
        markup.feed(path.read_text("utf-8"))
        markup.close()
        assert markup.open == []
        assert len(markup.ids) == len(set(markup.ids))
        assert markup.references <= {*markup.ids, *made_by_scripts()}


def test_scripts_find_the_elements_that_they_ask_for() -> None:
    scripts = "".join(path.read_text("utf-8") for path in PAGE.glob("*.js"))
    html = (PAGE / "index.html").read_text("utf-8")
    asked = set(re.findall(r'\bfind\("([^"]+)"\)', scripts))
    assert asked <= set(re.findall(r'\bid="([^"]+)"', html)) | made_by_scripts()


def test_colours_and_classes_of_the_styles_exist() -> None:
    styles = "".join(path.read_text("utf-8") for path in STYLES)
    assert set(re.findall(r"var\((--[\w-]+)\)", styles)) == set(re.findall(r"(--[\w-]+):", styles))
    others = "".join(path.read_text("utf-8") for path in [*PAGE.glob("*.js"), *PAGE.glob("*.html")])
    selectors = re.sub(r"\{[^{}]*\}|/\*.*?\*/", "", styles, flags=re.DOTALL)
    for name in re.findall(r"\.([a-z][\w-]*)", selectors):
        assert re.search(rf"\b{name}\b", others), f"nothing has the class {name}"


@pytest.mark.slow
@with_chromium
def test_a_browser_knows_every_declaration(app: App, browser: Browser) -> None:
    text = "".join(path.read_text("utf-8") for path in STYLES)
    text = text.replace(" !important", "")  # no part of a value
    found = re.findall(r"^\s+([a-z-]+):\s*([^;{}]+);", text, re.MULTILINE)
    assert len(found) > 200
    with visit(browser, app.served.address) as visited:
        unknown = visited.page.evaluate(
            """(found) => found.filter(([name, value]) =>
                 !name.startsWith("--") && !CSS.supports(name, value))""",
            found,
        )
    assert unknown == []
