"""Camera and microphone by Chromium's fake devices, where they are not offered, and tokens."""

import socket
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import App, serve_app, start_chromium, visit, with_chromium

pytestmark = [with_chromium, pytest.mark.slow]

TOKEN = "a-token-of-this-test"


def write_y4m(clip: Path, target: Path) -> None:
    """Write the pictures of a clip as a fake camera reads them."""
    with av.open(str(clip)) as source, target.open("wb") as file:
        stream = source.streams.video[0]
        width, height = stream.width // 2 * 2, stream.height // 2 * 2
        file.write(b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\n" % (width, height))
        for frame in source.decode(stream):
            planes = frame.reformat(width, height, "yuv420p").to_ndarray()
            file.write(b"FRAME\n" + planes.tobytes())


def write_wav(clip: Path, target: Path) -> None:
    """Write the sound of a clip as a fake microphone reads it."""
    resampler = av.AudioResampler("s16", "mono", 48_000)
    with av.open(str(clip)) as source, wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                file.writeframes(part.to_ndarray().tobytes())


@pytest.fixture(scope="module")
def browser(app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera and microphone play a generated clip."""
    folder = tmp_path_factory.mktemp("devices")
    write_y4m(app.clips / "talk.mp4", folder / "camera.y4m")
    write_wav(app.clips / "talk.mp4", folder / "microphone.wav")
    with start_chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={folder / 'camera.y4m'}",
        f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}",
    ) as running:
        yield running


def record(page: Page, *, length_ms: int) -> None:
    page.click("#record-main")  # turn on
    expect(page.locator("#record-main")).to_contain_text("Start recording")
    page.click("#record-main")
    page.wait_for_timeout(length_ms)
    page.click("#record-main")
    expect(page.locator("#record-use")).to_be_visible()


def test_what_camera_and_microphone_record_is_answered(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address) as visited:
        page = visited.page
        page.click("#tab-record")
        record(page, length_ms=4000)
        assert visited.posts() == []  # nothing leaves before it is wanted
        page.click("#record-use")
        visited.wait_for_answer()
        prediction = visited.save_json(".save-json")
        assert prediction["modalities"]["face"]["usable"], prediction["modalities"]
        assert prediction["modalities"]["audio"]["usable"], prediction["modalities"]
        assert prediction["length_sec"] == pytest.approx(4, abs=1.5)
        expect(page.locator(".overlay .over")).to_have_count(1)
        assert visited.complaints == []


def test_the_microphone_alone_can_be_recorded(app: App, browser: Browser) -> None:
    with visit(browser, app.served.address) as visited:
        page = visited.page
        page.click("#tab-record")
        page.check("input[value=sound]")
        record(page, length_ms=3500)
        page.click("#record-use")
        visited.wait_for_answer()
        prediction = visited.save_json(".save-json")
        assert prediction["modalities"]["audio"]["usable"], prediction["modalities"]
        assert prediction["modalities"]["face"]["reason"] == "no video track"
        expect(page.locator(".player audio")).to_be_visible()


def test_camera_and_microphone_are_off_when_they_are_not_used(app: App, browser: Browser) -> None:
    count = "window.opened.filter((track) => track.readyState === 'live').length"
    with visit(browser, app.served.address) as visited:
        page = visited.page
        page.evaluate(
            """() => {
              window.opened = [];
              const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
              navigator.mediaDevices.getUserMedia = async (wanted) => {
                const stream = await ask(wanted);
                window.opened.push(...stream.getTracks());
                return stream;
              };
            }"""
        )
        page.click("#tab-record")
        page.click("#record-main")
        expect(page.locator("#preview")).to_be_visible()
        assert page.evaluate(count) == 2
        page.click("#tab-file")
        assert page.evaluate(count) == 0


def find_own_address() -> str | None:
    """Return an address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # of RFC 5737: nobody's
        except OSError:
            return None
        address: str = sock.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A service for others, which asks for a token."""
    options = ("--host", "0.0.0.0", "--token", TOKEN)
    with serve_app(tmp_path_factory.mktemp("guarded"), *options) as running:
        yield running


def reach(guarded: App, host: str) -> str:
    return f"http://{host}:{guarded.served.address.rpartition(':')[2]}/"


def test_the_token_of_the_address_is_taken_and_hidden(guarded: App, browser: Browser) -> None:
    address = reach(guarded, "127.0.0.1")
    with visit(browser, f"{address}#token={TOKEN}") as visited:
        page = visited.page
        assert page.url == address
        expect(page.locator("#limits")).to_contain_text("5 MB")
        visited.ask(guarded.clips / "mute.mp4")
        assert visited.save_json(".save-json")["status"] == "ok"
        assert visited.save(".save-plot-png").read_bytes().startswith(b"\x89PNG")
        assert page.evaluate("Object.keys({...localStorage})") == ["oragen-consent-1"]
        assert all(TOKEN not in request.url for request in visited.requests)


def test_a_token_is_asked_for_until_it_is_right(guarded: App, browser: Browser) -> None:
    with visit(browser, reach(guarded, "127.0.0.1")) as visited:
        page = visited.page
        expect(page.locator("#token")).to_be_visible()
        page.fill("#token-text", "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token-wrong")).to_have_text("This token is not the right one.")
        page.fill("#token-text", TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator("#limits")).to_contain_text("5 MB")


def test_without_https_the_page_says_why_it_records_nothing(guarded: App, browser: Browser) -> None:
    host = find_own_address()
    if host is None:
        pytest.skip("this machine has no address but loopback")
    with visit(browser, f"{reach(guarded, host)}#token={TOKEN}") as visited:
        visited.page.click("#tab-record")
        expect(visited.page.locator("#record-refused")).to_contain_text("HTTPS")
        expect(visited.page.locator("#recorder")).to_be_hidden()
        visited.page.click("#tab-file")
        visited.ask(guarded.clips / "mute.mp4")  # the rest works


def test_a_service_that_is_gone_gives_a_sentence(browser: Browser, tmp_path: Path) -> None:
    with serve_app(tmp_path) as ending, visit(browser, ending.served.address) as visited:
        expect(visited.page.locator("#limits")).to_contain_text("5 MB")
        visited.ask(ending.clips / "mute.mp4")
        ending.served.process.kill()
        ending.served.process.wait()
        visited.page.click(".save-plot-png")
        expect(visited.page.locator("#problem")).to_contain_text("The service does not answer.")
        visited.choose(ending.clips / "mute.mp4")
        expect(visited.page.locator("#answer .failed")).to_contain_text("The upload broke off")
