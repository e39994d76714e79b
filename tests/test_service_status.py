"""What the service says of itself: metrics, model, examples, its description."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from oragen.app.model_card import read_card
from oragen.corpora.generator.corpus import generate_corpus
from oragen.corpora.generator.spec import CorpusSpec
from oragen.predictor import Predictor
from oragen.predictor.cards import CARD_FILE
from oragen.predictor.licences import list_licences
from tests.predict_command import write_clips
from tests.serving import Served, serve
from tests.small_models import save_model

pytestmark = pytest.mark.slow

CARD = "---\nlicense: other\nlicense_name: of-its-parts\ntags:\n- speech\n---\n\n# A model\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_model(tmp_path_factory.mktemp("model"))
    (folder / CARD_FILE).write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(model, tmp_path_factory.mktemp("spool"), "--max-duration-s", "2") as running:
        yield running


def test_a_clip_over_the_allowed_duration_gets_its_reason(served: Served, clips: Path) -> None:
    """The clip takes 3 s; the model alone would allow 7200."""
    prediction = served.predict(clips / "talk.mp4").json()["prediction"]
    assert prediction["status"] == "no_predictions"
    reasons = {modality["reason"] for modality in prediction["modalities"].values()}
    assert reasons == {"longer than 2 s"}
    assert served.ask("GET", "/v1/model").json()["limits"]["max_duration_s"] == 2


def test_a_model_never_takes_longer_clips_than_it_says(model: Path) -> None:
    predictor = Predictor.from_pretrained(model, max_duration_s=1e6)
    assert predictor.max_duration_s == 7200
    predictor.close()


def test_requests_steps_and_failures_are_counted(served: Served, clips: Path) -> None:
    def read() -> dict[str, float]:
        steps = ("receiving", "waiting", "decoding", "predicting", "drawing")
        return {
            "posted": served.metric("oragen_requests_total", path="/v1/predictions", status="200"),
            "unknown jobs": served.metric(
                "oragen_requests_total", path="/v1/jobs/{key}", status="404"
            ),
            "too long": served.metric(
                "oragen_unused_total", modality="audio", reason="longer than"
            ),
            **{step: served.metric("oragen_step_seconds_count", step=step) for step in steps},
        }

    before = read()
    address = served.predict(clips / "still.png").headers["Location"]
    served.ask("GET", f"{address}/plot.png")
    served.predict(clips / "talk.mp4")
    for number in range(3):
        served.ask("GET", f"/v1/jobs/unknown-{number}")
    after = read()
    assert {name: after[name] - before[name] for name in after} == {
        "posted": 2, "unknown jobs": 3, "too long": 1, "receiving": 2, "waiting": 2,
        "decoding": 2, "predicting": 1, "drawing": 1,
    }  # fmt: skip
    text = served.ask("GET", "/metrics").text
    assert "unknown-" not in text  # a label for each would grow without end
    assert "oragen_waiting_clips 0.0" in text
    assert "oragen_arriving_clips 0.0" in text


def test_the_model_is_told_with_its_card_and_licences(served: Served) -> None:
    told = served.ask("GET", "/v1/model").json()
    assert told["card"] == CARD
    assert (told["modalities"], told["genders"]) == (["audio", "face"], ["female", "male"])
    licences = {entry["what"]: entry["licence"] for entry in told["licences"]}
    assert licences["program: oragen"] == "MIT"
    assert licences["weights of the model"] == "other, of-its-parts, as its card says"
    assert licences["audio encoder: tiny"].startswith("MIT")


def test_an_unknown_licence_is_not_invented(model: Path) -> None:
    predictor = Predictor.from_pretrained(model)
    [weights] = [
        entry.licence
        for entry in list_licences(predictor.description, predictor.encoder_sources)
        if entry.what == "weights of the model"
    ]
    assert weights.startswith("not stated; look at")
    predictor.close()


def test_a_card_that_leads_out_of_the_model_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "model"
    folder.mkdir()
    assert read_card(folder) is None
    (folder / CARD_FILE).symlink_to(tmp_path / "secret")
    assert read_card(folder) is None


def test_examples_are_those_of_generated_corpora_with_their_lengths(served: Served) -> None:
    assert served.ask("GET", "/v1/examples").json() == []
    root = served.spool_parent / "data" / "corpora" / "small"
    generate_corpus(root, CorpusSpec("studio", 6, 1, (1, 1), (3.0, 3.2), 0.0), num_workers=1)
    examples = served.ask("GET", "/v1/examples").json()
    assert [example["name"] for example in examples] == [
        f"small-s00{number}_1.mp4" for number in range(3)
    ]
    assert all(2.9 < example["length_s"] < 3.4 for example in examples)
    clip = served.ask("GET", examples[0]["url"])
    assert clip.content == (root / "clips" / "s000_1.mp4").read_bytes()
    assert served.ask("GET", "/v1/examples").json() == examples


@pytest.mark.parametrize(
    "path",
    [
        "/v1/examples/..%2fcorpus.json",
        "/v1/examples/..%2f..%2f..%2f..%2fetc%2fhostname",
        "/v1/examples/%2e%2e%2fcorpus.json",
        "/v1/examples/../../etc/hostname",
        "/static/..%2fapplication.py",
        "/static/../application.py",
        "/static/%2e%2e/application.py",
        "/static//etc/hostname",
        "/docs/swagger/..%2f__init__.py",
        "/v1/jobs/..%2f..%2fetc%2fhostname/plot.png",
    ],
)
def test_no_path_leads_to_other_files(served: Served, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = served.send(request.encode())
    assert re.match(rb"HTTP/1.1 (404|422) ", answer), answer


def test_the_description_is_a_page_that_needs_no_network(served: Served) -> None:
    page = served.ask("GET", "/docs").text
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith("/")
        assert served.ask("GET", address).status_code == 200, address
    assert "<script>" not in page  # the policy of the service refuses it


def test_every_problem_is_described(served: Served) -> None:
    described = json.loads(served.ask("GET", "/openapi.json").text)
    answers = described["paths"]["/v1/predictions"]["post"]["responses"]
    for status in ("400", "401", "403", "408", "413", "415", "421", "422", "503", "507"):
        assert list(answers[status]["content"]) == ["application/problem+json"]
    assert set(described["components"]["schemas"]["ProblemForm"]["required"]) == {
        "title", "status", "detail",
    }  # fmt: skip


def test_a_wrong_method_gets_all_that_are_right(served: Served) -> None:
    answer = served.ask("OPTIONS", "/v1/jobs/any")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, GET")
