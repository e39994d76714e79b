"""The page of `oragen serve`: what it shows and saves is what the service says."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from oragen.predictor import Predictor
from oragen.predictor.output import open_output
from tests.browsing import CARD, App, serve_app, visit, with_chromium
from tests.media_files import tone, write_sound
from tests.project import REPOSITORY

pytestmark = with_chromium

REAL_CLIP = REPOSITORY.parent / "shared" / "media" / "f_33.mp4"


def in_per_cent(share: float) -> str:
    """Return a share as the page writes it in English, where it is not near to 0 or 1."""
    return f"{share:.0%}" if 0.01 <= share <= 0.99 else f"{share:.1%}"


@pytest.mark.slow
def test_an_answer_is_that_of_the_service(app: App, browser: Browser) -> None:
    expected = app.predict("talk.mp4")
    with visit(browser, app.served.address) as visited:
        visited.ask(app.clips / "talk.mp4")
        answer = visited.page.locator("#answer")
        for task in ("gender", "mask_type"):
            best = expected[task]["label"]
            share = in_per_cent(expected[task]["probabilities"][best])
            words = {"none": "no mask", "ffp": "FFP"}.get(best, best)
            expect(answer.locator(".bars .best", has_text=words)).to_contain_text(share)
        age, (low, high) = expected["age"]["value"], expected["age"]["interval"]
        expect(answer.locator(".age strong")).to_have_text(f"{age:.1f} years")
        expect(answer.locator(".age")).to_contain_text(f"{low:.0f} to {high:.0f} years")
        assert answer.locator(".grounds .used").all_inner_texts() == ["voice: used", "face: used"]
        for warning in expected["warnings"]:
            expect(answer.locator(".warnings")).to_contain_text(warning)
        visited.page.click("#tab-record")
        expect(answer.locator(".age")).to_be_visible()  # it stays while another tab is open
        assert visited.foreign_requests() == []
        assert visited.complaints == []


@pytest.mark.slow
def test_consent_is_asked_once_and_before_the_first_upload(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address, has_agreed=False) as visited:
        page = visited.page
        visited.choose(app.clips / "mute.mp4")
        expect(page.locator("#consent")).to_be_visible()
        expect(page.locator("#consent-yes")).to_be_disabled()
        page.keyboard.press("Escape")
        expect(page.locator("#consent")).to_be_hidden()
        assert visited.posts() == []
        visited.choose(app.clips / "mute.mp4")
        page.check("#consent-given")
        page.click("#consent-yes")
        visited.wait_for_answer()
        assert len(visited.posts()) == 1
        page.reload()
        visited.choose(app.clips / "mute.mp4")
        visited.wait_for_answer()
        expect(page.locator("#consent")).to_be_hidden()
        kept = page.evaluate("Object.keys({...localStorage, ...sessionStorage})")
        assert kept == ["oragen-consent-1"]


@pytest.mark.slow
def test_the_model_and_its_limits_are_told_before_an_upload(app: App, browser: Browser) -> None:
    model = app.served.ask("GET", "/v1/model").json()
    with visit(browser, app.served.address) as visited:
        page = visited.page
        expect(page.locator("#limits")).to_have_text("At most 5 MB and 60 s each.")
        for warning in model["warnings"]:
            expect(page.locator("#model-warnings")).to_contain_text(warning)
        for licence in model["licences"]:
            expect(page.locator("#model-facts")).to_contain_text(licence["licence"])
        expect(page.locator("#model-facts")).to_contain_text("cc-by-4.0")
        page.get_by_text("Model card").click()
        assert page.locator(".card").inner_text() == CARD


@pytest.mark.slow
def test_the_box_lies_where_the_prediction_has_it(app: App, browser: Browser) -> None:
    faces = app.predict("talk.mp4")["faces"]
    with visit(browser, app.served.address) as visited:
        visited.ask(app.clips / "talk.mp4")
        page = visited.page
        video = page.locator(".player video")
        for face in faces:
            video.evaluate("(video, time) => { video.currentTime = time }", face["time_sec"])
            left, top, right, bottom = face["box"]
            box = page.locator(".overlay .over")
            for name, value in {"x": left, "y": top, "width": right - left}.items():
                expect(box).to_have_attribute(name, f"{value:g}")
        size = video.evaluate("video => [video.videoWidth, video.videoHeight]")
        shown = page.locator(".player video").bounding_box()
        drawn = page.locator(".overlay .over").bounding_box()
        assert shown is not None
        assert drawn is not None
        scale = min(shown["width"] / size[0], shown["height"] / size[1])
        margin = (shown["width"] - scale * size[0]) / 2  # beside the picture
        expected_x = shown["x"] + margin + scale * left
        assert drawn["x"] == pytest.approx(expected_x, abs=4)  # half of its line
        assert drawn["height"] == pytest.approx(scale * (bottom - top), abs=6)


@pytest.mark.slow
def test_the_timeline_follows_the_player_and_moves_it(app: App, browser: Browser) -> None:
    length_s = app.predict("talk.mp4")["length_sec"]
    with visit(browser, app.served.address) as visited:
        visited.ask(app.clips / "talk.mp4")
        page = visited.page
        lanes, video = page.locator(".lanes"), page.locator(".player video")
        lanes.locator("rect.lane").first.click(force=True)  # in its middle; bars lie over it
        expect(page.locator(".moment")).to_contain_text(f"{length_s / 2:.1f} s")
        assert video.evaluate("video => video.currentTime") == pytest.approx(length_s / 2, abs=0.05)
        page.keyboard.press("Home")
        expect(lanes).to_have_attribute("aria-valuenow", "0.0")
        page.keyboard.press("ArrowRight")
        expect(lanes).to_have_attribute("aria-valuenow", "1.0")
        before = float(page.locator(".cursor").get_attribute("x1") or "nan")
        video.evaluate("video => video.play()")
        page.wait_for_timeout(700)
        assert float(page.locator(".cursor").get_attribute("x1") or "nan") > before + 50
        assert page.locator(".cursor").count() == 1


@pytest.mark.slow
def test_downloads_hold_what_the_service_says(app: App, browser: Browser) -> None:
    expected = app.predict("talk.mp4")
    with visit(browser, app.served.address) as visited:
        visited.ask(app.clips / "talk.mp4")
        assert visited.save_json(".save-json") == expected
        [row] = csv.DictReader(io.StringIO(visited.save(".save-csv").read_text()))
        assert float(row["age"]) == expected["age"]["value"]
        assert row["gender"] == expected["gender"]["label"]
        assert visited.save(".save-plot-png").read_bytes().startswith(b"\x89PNG")
        drawn = visited.save(".save-drawn-mp4").read_bytes()
        asked = [request.url for request in visited.requests]
        [address] = [url for url in asked if url.endswith("drawn.mp4")]
        assert drawn == requests.get(address, timeout=60).content


@pytest.mark.slow
def test_several_clips_are_a_table_that_sorts_and_is_saved(app: App, browser: Browser) -> None:
    names = ["talk.mp4", "voice.mp4", "broken.mp4", "still.png"]
    expected = [app.predict(name) | {"input": name} for name in names]
    with visit(browser, app.served.address) as visited:
        visited.ask(*[app.clips / name for name in names])
        page = visited.page
        rows = page.locator("#clips-table tbody th")
        assert rows.all_inner_texts() == names
        page.click("[data-key=sort-age]")
        by_age = sorted(expected, key=lambda one: one["age"]["value"] if one["age"] else 1e9)
        assert rows.all_inner_texts() == [one["input"] for one in by_age]
        assert visited.save_json("#clips-json") == by_age
        page.click("[data-key=sort-age]")
        assert rows.first.inner_text() == by_age[-2]["input"]  # what has no age stays at the end
        page.click("#clips-clear")
        expect(page.locator("#clips")).to_be_hidden()
        expect(page.locator("#answer")).to_be_hidden()


@pytest.mark.slow
def test_a_picture_is_saved_with_its_boxes(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address) as visited:
        visited.ask(app.clips / "still.png")
        assert visited.save(".save-drawn-png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.usefixtures("all_threads")  # as the service: the last digit depends on them
def test_a_saved_table_is_that_of_the_command(app: App, browser: Browser, tmp_path: Path) -> None:
    names = ["talk.mp4", "voice.mp4", "broken.mp4"]
    predict = Predictor.from_pretrained(app.model)
    with open_output(tmp_path / "expected.csv") as write:
        for prediction in predict.predict_files([app.clips / name for name in names]):
            write(replace(prediction, input=Path(prediction.input).name))
    with visit(browser, app.served.address) as visited:
        visited.ask(*[app.clips / name for name in names])
        saved = visited.save("#clips-csv").read_text()
    assert saved == (tmp_path / "expected.csv").read_text()


@pytest.mark.slow
def test_a_broken_clip_gets_a_sentence(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address) as visited:
        visited.ask(app.clips / "broken.mp4")
        expect(visited.page.locator("#answer .nothing")).to_be_visible()
        expect(visited.page.locator("#answer .unused").first).to_contain_text("empty file")


@pytest.mark.slow
def test_a_picture_shows_its_boxes(app: App, browser: Browser) -> None:
    faces = app.predict("still.png")["faces"]
    with visit(browser, app.served.address) as visited:
        visited.ask(app.clips / "still.png")
        boxes = visited.page.locator(".overlay .over")
        expect(boxes).to_have_count(len(faces))
        expect(boxes.first).to_have_attribute("x", f"{faces[0]['box'][0]:g}")
        assert visited.page.locator(".timeline").count() == 0


@pytest.mark.slow
def test_what_the_service_would_refuse_is_not_sent(
    app: App, browser: Browser, tmp_path: Path
) -> None:
    large, long = tmp_path / "large.mp4", tmp_path / "long.wav"
    large.write_bytes(bytes(6 * 10**6))
    write_sound(long, tone(61.0, rate_hz=8_000), rate_hz=8_000)
    with visit(browser, app.served.address) as visited:
        page = visited.page
        expect(page.locator("#limits")).to_contain_text("5 MB")
        visited.choose(large, long)
        table = page.locator("#clips-table")
        expect(table).to_contain_text("The file has 6 MB, and the service takes at most 5 MB.")
        expect(table).to_contain_text("The clip lasts 61 s, and the service takes at most 60 s.")
        assert visited.posts() == []


@pytest.mark.slow
def test_an_upload_can_be_cancelled(app: App, browser: Browser, tmp_path: Path) -> None:
    slow = tmp_path / "slow.bin"
    slow.write_bytes(bytes(4 * 10**6))
    with visit(browser, app.served.address) as visited:
        page = visited.page
        expect(page.locator("#limits")).to_contain_text("5 MB")
        network = page.context.new_cdp_session(page)
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": 200_000})
        visited.choose(slow)
        expect(page.locator("#answer .progress")).to_contain_text("uploading")
        page.click("#answer .cancel")
        expect(page.locator("#answer")).to_contain_text("cancelled")
        page.click("#answer .remove")
        expect(page.locator("#answer")).to_be_hidden()
        assert visited.complaints == []


@pytest.mark.slow
def test_names_of_files_are_text_and_stay_here(app: App, browser: Browser, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>\u202e=1+1.png"
    (tmp_path / name).write_bytes((app.clips / "still.png").read_bytes())
    with visit(browser, app.served.address) as visited:
        visited.ask(tmp_path / name)
        shown = name.replace("\u202e", "\\u202e")
        expect(visited.page.locator("#answer-title")).to_have_text(shown)
        [post] = visited.posts()
        assert name.encode() not in (post.post_data_buffer or b"")
        assert visited.complaints == []


@pytest.mark.slow
def test_a_dropped_and_a_pasted_file_are_taken(app: App, browser: Browser) -> None:
    give = """(kind) => {
      const files = new DataTransfer();
      files.items.add(new File(["x"], `${kind}.mp4`, { type: "video/mp4" }));
      const event = kind === "drop"
        ? new DragEvent("drop", { dataTransfer: files, bubbles: true })
        : new ClipboardEvent("paste", { clipboardData: files, bubbles: true });
      document.querySelector("footer").dispatchEvent(event);
    }"""
    with visit(browser, app.served.address) as visited:
        for kind in ("drop", "paste"):
            visited.page.evaluate(give, kind)
            expect(visited.page.locator("#answer-title")).to_have_text(f"{kind}.mp4")


@pytest.mark.slow
def test_an_example_is_asked_about_by_one_press(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address) as visited:
        visited.page.click("#tab-examples")
        visited.page.click("#examples button")
        visited.wait_for_answer()
        assert visited.save_json(".save-json") == app.predict("talk.mp4")


@pytest.mark.slow
def test_clips_beyond_the_queue_are_sent_again(app: App, browser: Browser, tmp_path: Path) -> None:
    """The service takes one at a time; the page waits as long as it is told, and loses none."""
    with (
        serve_app(tmp_path, "--queue", "1") as narrow,
        visit(browser, narrow.served.address) as visited,
    ):
        statuses: list[int] = []
        visited.page.on("response", lambda response: statuses.append(response.status))
        visited.ask(*[narrow.clips / name for name in ("talk.mp4", "voice.mp4", "mute.mp4")])
        states = visited.page.locator("#clips-table td.state").all_inner_texts()
        assert states == ["done"] * 3
        assert 503 in statuses


@pytest.mark.slow
@pytest.mark.skipif(not REAL_CLIP.exists(), reason="../shared/media is not here")
def test_a_real_clip_is_answered_and_played(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address) as visited:
        visited.ask(REAL_CLIP)
        video = visited.page.locator(".player video")
        assert video.evaluate("video => video.videoWidth") > 0
        expected = app.served.predict(REAL_CLIP).json()["prediction"]
        assert visited.save_json(".save-json") == json.loads(json.dumps(expected))
