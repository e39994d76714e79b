"""The page of `oragen serve` in a real Chromium, as a visitor sees it."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.predict_command import write_clips
from tests.serving import Served, serve
from tests.small_models import save_model

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 60_000  # for a prediction on a machine that has much to do
CARD = "---\nlicense: cc-by-4.0\n---\n# A <b>small</b> model\n"
LIMITS = ("--max-upload-mb", "5", "--max-duration-s", "60")

with_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with")


@dataclass(frozen=True)
class App:
    """A service with a small model, and clips for it."""

    served: Served
    model: Path
    clips: Path

    def predict(self, name: str) -> dict[str, Any]:
        """Return what the service says of a clip without the page."""
        prediction: dict[str, Any] = self.served.predict(self.clips / name).json()["prediction"]
        return prediction


@dataclass
class Visit:
    """A page in a tab, and what the browser had to say of it."""

    page: Page
    address: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def choose(self, *clips: Path) -> None:
        """Choose files in the field of the page."""
        self.page.set_input_files("#files", [str(clip) for clip in clips])

    def ask(self, *clips: Path) -> None:
        """Choose files, and wait for all their answers."""
        self.choose(*clips)
        self.wait_for_answer()
        if len(clips) > 1:
            removals = self.page.locator("#clips-table button.remove")
            expect(removals).to_have_count(len(clips), timeout=PATIENCE_MS)

    def wait_for_answer(self) -> None:
        expect(self.page.locator("#answer .downloads")).to_be_visible(timeout=PATIENCE_MS)

    def save(self, button: str) -> Path:
        """Press a button that saves, and return the file."""
        with self.page.expect_download(timeout=PATIENCE_MS) as saved:
            self.page.click(button)
        return Path(saved.value.path())

    def save_json(self, button: str) -> Any:
        return json.loads(self.save(button).read_text())

    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def foreign_requests(self) -> list[str]:
        """Return addresses of other origins that were asked; `blob:` stays in the browser."""
        asked = [request.url for request in self.requests]
        own = ("", urlsplit(self.address).netloc)
        return [url for url in asked if urlsplit(url).netloc not in own]


@contextmanager
def serve_app(folder: Path, *options: str) -> Iterator[App]:
    """Start a service beside a generated corpus of one clip, which is its example."""
    model = save_model(folder / "model")
    (model / "README.md").write_text(CARD)
    (folder / "clips").mkdir()
    clips = write_clips(folder / "clips")
    corpus = folder / "service" / "data" / "corpora" / "studio"
    (corpus / "clips").mkdir(parents=True)
    shutil.copy(clips / "talk.mp4", corpus / "clips" / "s000_1.mp4")
    (corpus / "corpus.json").write_text("{}")
    with serve(model, folder / "service", *LIMITS, *options) as served:
        yield App(served, model, clips)


@contextmanager
def start_chromium(*switches: str) -> Iterator[Browser]:
    """Start a browser; inside its sandbox unless this user may not have one."""
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*as_root, "--autoplay-policy=no-user-gesture-required", *switches],
        )
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser,
    address: str,
    *,
    has_agreed: bool = True,
    width_px: int = 1280,
    locale: str = "en-GB",
    permissions: Sequence[str] = (),
    **options: Any,
) -> Iterator[Visit]:
    """Open the page as a new visitor, who has agreed to the terms or not."""
    context = browser.new_context(
        locale=locale, viewport={"width": width_px, "height": 800},
        permissions=list(permissions), reduced_motion="reduce", **options,
    )  # fmt: skip
    if has_agreed:
        context.add_init_script("localStorage.setItem('oragen-consent-1', 'yes')")
    visited = Visit(context.new_page(), address)
    visited.page.on("request", lambda request: visited.requests.append(request))
    visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
    visited.page.on(
        "console",
        lambda said: visited.complaints.append(said.text) if said.type == "error" else None,
    )
    visited.page.goto(address)
    expect(visited.page.locator("#languages button")).to_have_count(2)  # it listens now
    yield visited
    context.close()
