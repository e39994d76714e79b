"""The page of `oragen serve` for all: by keyboard, by ear, narrow and wide, in two languages."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browsing import App, Visit, visit, with_chromium

pytestmark = with_chromium

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
State = Callable[[App, Visit], None]


def start(app: App, visited: Visit) -> None:
    expect(visited.page.locator("#limits")).to_contain_text(re.compile("MB|МБ"))


def answer(app: App, visited: Visit) -> None:
    visited.ask(app.clips / "talk.mp4")
    visited.page.locator(".timeline summary").click()


def table(app: App, visited: Visit) -> None:
    visited.ask(*(app.clips / name for name in ("voice.mp4", "broken.mp4", "still.png")))


def recording(app: App, visited: Visit) -> None:
    visited.page.click("#tab-record")
    expect(visited.page.locator("#record-main")).to_be_visible()


def consent(app: App, visited: Visit) -> None:
    visited.page.click("#show-consent")


def problem(app: App, visited: Visit) -> None:
    visited.page.context.set_offline(True)
    visited.page.click("#tab-examples")
    expect(visited.page.locator("#problem")).not_to_be_empty()


STATES = (start, answer, table, recording, consent, problem)


def serious(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.slow
def test_nothing_bars_a_reader_of_an_answer(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address) as visited:
        answer(app, visited)
        assert serious(visited.page) == []


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("scheme", "locale"), [("light", "en"), ("dark", "en"), ("light", "ru")])
def test_nothing_bars_a_reader(
    app: App, browser: Browser, state: State, scheme: str, locale: str
) -> None:
    with visit(browser, app.served.address, color_scheme=scheme, locale=locale) as visited:
        state(app, visited)
        assert visited.page.locator("html").get_attribute("lang") == locale
        assert serious(visited.page) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width_px", "locale"),
    [(320, "ru-RU"), (360, "ru-RU"), (360, "en"), (768, "en"), (1600, "en")],
)
def test_nothing_is_wider_than_the_window(
    app: App, browser: Browser, width_px: int, locale: str
) -> None:
    measure = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    with visit(browser, app.served.address, width_px=width_px, locale=locale) as visited:
        for state in (start, recording):
            state(app, visited)
            content_px, window_px = visited.page.evaluate(measure)
            assert content_px == window_px
        visited.ask(app.clips / "talk.mp4", app.clips / "broken.mp4")
        content_px, window_px = visited.page.evaluate(measure)
        assert content_px == window_px


@pytest.mark.slow
def test_the_texts_are_in_the_language_of_the_browser_until_another_is_chosen(
    app: App, browser: Browser
) -> None:
    with visit(browser, app.served.address, locale="ru-RU") as visited:
        page = visited.page
        expect(page.locator("#tab-file")).to_have_text("Файл")
        visited.ask(app.clips / "talk.mp4")
        expect(page.locator(".age strong")).to_have_text(re.compile(r"^\d+,\d года$"))
        page.get_by_role("button", name="English").click()
        expect(page.locator("#tab-file")).to_have_text("File")
        expect(page.locator(".age strong")).to_have_text(re.compile(r"^\d+\.\d years$"))
        page.reload()
        expect(page.locator("#tab-file")).to_have_text("File")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there, as who uses no mouse does."""
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.locator(f"{selector}:focus")
        if focused.count():
            return
    raise AssertionError(f"no Tab leads to {selector}")


@pytest.mark.slow
def test_a_prediction_needs_no_mouse(app: App, browser: Browser) -> None:
    """From the top of the page to the saved answer; the window for files is the browser's own."""
    with visit(browser, app.served.address, has_agreed=False) as visited:
        page = visited.page
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        tab_to(page, "#tab-file")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#tab-record")).to_be_focused()
        page.keyboard.press("ArrowLeft")
        with page.expect_file_chooser() as chooser:
            tab_to(page, "#files")  # the wait for the window has begun when Space comes
            page.keyboard.press("Space")
        chooser.value.set_files(app.clips / "talk.mp4")
        expect(page.locator("#consent")).to_be_visible()
        tab_to(page, "#consent-given")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        visited.wait_for_answer()
        expect(page.locator("#status")).to_contain_text("talk.mp4: ")  # told to screen readers
        tab_to(page, ".lanes")
        page.keyboard.press("End")
        expect(page.locator(".lanes")).to_have_attribute("aria-valuenow", re.compile(r"^3\.\d$"))
        tab_to(page, ".save-json")
        with page.expect_download() as saved:
            page.keyboard.press("Enter")
        assert saved.value.suggested_filename == "talk.json"


@pytest.mark.slow
def test_focus_is_seen(app: App, browser: Browser) -> None:
    """Each control that Tab reaches has an outline, its own or its label's."""
    outline = """() => {
      const element = document.activeElement;
      const shown = element.id === "files" ? document.querySelector("label[for=files]") : element;
      return [element.outerHTML.slice(0, 80), getComputedStyle(shown).outlineStyle];
    }"""
    with visit(browser, app.served.address) as visited:
        start(app, visited)
        for _ in range(12):
            visited.page.keyboard.press("Tab")
            element, style = visited.page.evaluate(outline)
            assert style != "none" or element.startswith("<body"), element
