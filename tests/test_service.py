"""`oragen serve`: what is asked over HTTP is what `Predictor` says, and nothing else gets in."""

import json
import re
import resource
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from oragen.app.application import make_app
from oragen.app.options import ServeOptions
from oragen.app.spool import Spool
from oragen.predictor import Predictor
from tests.predict_command import write_clips
from tests.prediction_schema import SCHEMA, problems
from tests.serving import Served, serve, start
from tests.small_models import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_clips(tmp_path_factory.mktemp("clips"))
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:5,\nfile:///etc/hostname\n")
    (folder / "text.mp4").write_text("no clip\n" * 100)
    shutil.make_archive(str(folder / "packed"), "zip", folder, "text.mp4")
    (folder / "packed.zip").rename(folder / "zip.mp4")
    return folder


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = ("--max-upload-mb", "5", "--queue", "3")
    with serve(model, tmp_path_factory.mktemp("spool"), *options) as running:
        yield running


@pytest.mark.usefixtures("all_threads")  # as the service: the last digit depends on them
@pytest.mark.parametrize("name", ["talk.mp4", "voice.mp4", "mute.mp4", "still.png"])
def test_a_prediction_over_http_is_that_of_the_predictor(
    served: Served, model: Path, clips: Path, name: str
) -> None:
    answer = served.predict(clips / name)
    assert answer.status_code == 200
    job = answer.json()
    assert job["state"] == "done"
    [expected] = Predictor.from_pretrained(model).predict_files([clips / name])
    assert job["prediction"] == json.loads(expected.to_json()) | {"input": "upload"}
    assert problems(job["prediction"], SCHEMA) == []


def test_one_modality_can_be_left_out(served: Served, clips: Path) -> None:
    job = served.predict(clips / "talk.mp4", use_face="false").json()
    assert job["prediction"]["modalities"]["face"]["reason"] == "not asked for"
    assert job["prediction"]["modalities"]["audio"]["usable"]


@pytest.mark.parametrize("name", ["playlist.mp4", "text.mp4", "zip.mp4", "broken.mp4"])
def test_what_is_no_clip_gets_its_reason_and_opens_nothing(
    served: Served, clips: Path, name: str
) -> None:
    job = served.predict(clips / name).json()
    assert job["prediction"]["status"] == "no_predictions"
    reasons = {report["reason"] for report in job["prediction"]["modalities"].values()}
    assert None not in reasons
    assert not any("/" in told for told in [*reasons, *job["prediction"]["notes"]])


def test_a_long_wait_is_a_job_that_tells_how_far_it_is(served: Served, clips: Path) -> None:
    answer = served.predict(clips / "talk.mp4", wait_s=0)
    assert answer.status_code == 202
    address = answer.headers["Location"]
    assert address == f"/v1/jobs/{answer.json()['id']}"
    events = served.ask("GET", f"{address}/events", stream=True)
    assert events.headers["Content-Type"].startswith("text/event-stream")
    told = re.findall(r"event: (\w+)\r?\ndata: (.*)\r?\n", events.text)
    assert told[-1][0] == "end"
    assert {kind for kind, _ in told[:-1]} <= {"progress"}
    last = json.loads(told[-1][1])
    assert last["state"] == "done"
    assert last["windows_done"] == last["windows_total"] == last["prediction"]["num_windows"]
    assert served.ask("GET", address).json() == last


@pytest.mark.slow
def test_plot_and_drawn_clip_are_made_of_a_job_and_go_with_it(served: Served, clips: Path) -> None:
    address = served.predict(clips / "talk.mp4").headers["Location"]
    plot, drawn = (served.ask("GET", f"{address}/{kind}") for kind in ("plot.png", "drawn.mp4"))
    assert plot.content.startswith(b"\x89PNG")
    assert plot.headers["Content-Type"] == "image/png"
    assert b"ftyp" in drawn.content[:12]
    assert served.ask("GET", f"{address}/drawn.png").status_code == 409  # it is no picture
    key = address.rpartition("/")[2]
    assert served.uploads()
    assert served.ask("DELETE", f"/v1/jobs/{key}").status_code == 204
    assert served.ask("GET", address).status_code == 404


def test_nothing_stays_of_removed_jobs(served: Served, clips: Path) -> None:
    for path in served.uploads():  # of the tests before, whose jobs are not known here
        path.unlink()
    address = served.predict(clips / "mute.mp4").headers["Location"]
    [upload] = served.uploads()
    assert upload.stat().st_mode & 0o077 == 0 or upload.parent.stat().st_mode & 0o077 == 0
    served.ask("DELETE", address)
    assert served.uploads() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost"}, 200),
    ],
)
def test_only_pages_of_the_service_itself_may_ask(
    served: Served, headers: dict[str, str], status: int
) -> None:
    answer = served.ask("GET", "/v1/model", headers=headers)
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def assert_problem(answer: requests.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert re.search(words, problem["detail"])


def test_requests_that_cannot_be_answered_get_a_sentence(served: Served, clips: Path) -> None:
    clip = clips / "mute.mp4"
    assert_problem(served.ask("GET", "/v1/jobs/none"), 404, "no such job")
    assert_problem(served.ask("GET", "/nowhere"), 404, "Not Found")
    assert_problem(served.ask("POST", "/v1/predictions", data=b"x"), 415, "multipart/form-data")
    assert_problem(served.predict(clip, use_audio="perhaps"), 422, "use_audio must be")
    assert_problem(served.predict(clip, use_audio="false", use_face="false"), 422, "nothing")
    assert_problem(served.predict(clip, name="x"), 422, "field 'name'")
    assert_problem(served.predict(clip, wait_s=1000), 422, "wait_s")
    none = served.ask("POST", "/v1/predictions", files={"other": b"x"})
    assert_problem(none, 422, "field 'other'")
    two = served.ask("POST", "/v1/predictions", files=[("file", b"1"), ("file", b"2")])
    assert_problem(two, 422, "one file")


def test_an_upload_that_is_too_large_is_refused_and_removed(served: Served, tmp_path: Path) -> None:
    before = len(served.uploads())
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(6 * 10**6))
    assert_problem(served.predict(large), 413, "larger than 5 MB")
    answer, _ = served.upload_endlessly(10**9)
    if answer is not None:
        assert_problem(answer, 413, "larger than 5 MB")
    assert len(served.uploads()) == before
    assert served.ask("GET", "/healthz").status_code == 200


def test_a_full_disk_is_a_sentence(served: Served, clips: Path) -> None:
    """A limit for files does what a full disk does: a write fails midway."""
    before = len(served.uploads())
    limits = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        assert_problem(served.predict(clips / "talk.mp4"), 507, "disk of this service is full")
    finally:
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, limits)
    assert len(served.uploads()) == before


def test_a_full_queue_says_when_to_try_again(served: Served, clips: Path) -> None:
    """Uploads that come at once are predicted or refused; none is lost."""
    answers: list[requests.Response] = []

    def upload() -> None:
        answers.append(served.predict(clips / "talk.mp4"))

    threads = [threading.Thread(target=upload) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(answer.status_code for answer in answers)
    assert len(statuses) == 24
    assert set(statuses) == {200, 503}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["Retry-After"] == "5"
    predictions = [a.json()["prediction"] for a in answers if a.status_code == 200]
    assert all(prediction == predictions[0] for prediction in predictions)


def test_a_decoder_that_is_killed_costs_its_clip_alone(served: Served, clips: Path) -> None:
    assert served.predict(clips / "mute.mp4").json()["prediction"]["status"] == "ok"
    for decoder in served.decoders():
        decoder.kill()
    states = [served.predict(clips / "mute.mp4").json()["state"] for _ in range(3)]
    assert states == ["done"] * 3
    assert served.predict(clips / "mute.mp4").json()["prediction"]["status"] == "ok"


def test_metrics_are_those_of_prometheus(served: Served, clips: Path) -> None:
    served.predict(clips / "mute.mp4")
    text = served.ask("GET", "/metrics").text
    assert re.search(r'^oragen_clips_total\{state="done"\} [1-9]', text, re.MULTILINE)
    assert "oragen_waiting_clips 0.0" in text


def test_openapi_holds_the_published_schema(served: Served) -> None:
    found: dict[str, Any] = served.ask("GET", "/openapi.json").json()
    schemas = found["components"]["schemas"]
    text = json.dumps(SCHEMA).replace("#/$defs/", "#/components/schemas/")
    expected = json.loads(text)
    for name, definition in expected.pop("$defs").items():
        assert schemas[name] == definition
    assert schemas["Prediction"] == expected


@pytest.mark.slow
def test_another_host_needs_a_token(model: Path, tmp_path: Path) -> None:
    with serve(model, tmp_path / "spool", "--host", "0.0.0.0", "--token", "secret") as open_to_all:
        address = open_to_all.address.replace("0.0.0.0", "127.0.0.1")
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"Authorization": "Bearer secret"}, 200),
        ):
            found = requests.get(f"{address}/v1/model", headers=headers, timeout=10)
            assert found.status_code == status
        assert requests.get(f"{address}/healthz", timeout=10).status_code == 200
    assert open_to_all.process.returncode in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_what_a_killed_service_left_is_removed_by_the_next(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    with serve(model, tmp_path / "spool") as killed:
        killed.predict(clips / "mute.mp4")
        killed.process.kill()
        killed.process.wait()
    assert killed.uploads()
    with serve(model, tmp_path / "spool") as following:
        assert following.uploads() == []


def test_a_model_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    process = start(tmp_path / "none", tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 2


def test_the_application_can_be_made_without_a_model() -> None:
    """Its description needs none."""
    app = make_app(lambda: pytest.fail("loaded"), ServeOptions(), Spool(), print)
    assert "/v1/predictions" in app.openapi()["paths"]
